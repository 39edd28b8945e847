"""What a config is once it is read: defaults, and who answers for whom."""

import pytest

from motet.config import parse
from motet.errors import ConfigError

MINIMAL = "version: 1\nexperts:\n  - id: a\n    engine: fake\n"


def test_defaults():
    config = parse(MINIMAL).config
    assert (config.service.host, config.service.port) == ("127.0.0.1", 8000)
    assert config.service.limits.deadline_s == 120


def test_who_answers_for_an_expert():
    text = """
version: 1
experts:
  - {id: own, engine: vllm, model: m}
  - {id: lora, engine: vllm, base: own, adapter: x}
"""
    own, lora = parse(text).config.experts
    assert (own.base, own.host) == (None, "own")
    assert (lora.base, lora.host) == ("own", "own")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{memory: lots}", "residency.memory"),
        ("{memory: 1GiB, policy: best}", "worth"),
        ("{memory: 1GiB, turns: 3}", "turn_s"),
        ("{memory: 1GiB, max_wait_s: 0}", "max_wait_s"),
        ("{policy: lru}", "memory"),
    ],
)
def test_bad_settings_are_named(section, said):
    with pytest.raises(ConfigError, match=said):
        parse(f"version: 1\nexperts: [{{id: a, engine: fake}}]\nresidency: {section}\n")
