"""The engine vllm, as a config has it."""

from tests.experts.adapters import VLLM

from motet.composer.assembly import assemble
from motet.config import parse


def test_tools_need_a_parser():
    plain, tooled = assemble(
        parse(VLLM + "  - {id: t, engine: vllm, model: org/name, tool_parser: hermes}\n")
    ).experts.values()
    assert "tools" not in plain.card.capabilities
    assert "tools" in tooled.card.capabilities
