"""What is read out of a whole answer."""

import pytest

from motet.config import ExpertEntry, Setting
from motet.experts.asking import Lone
from motet.experts.fake import FakeConfig, FakeExpert
from motet.types import Request
from motet.whole import object_in, without_thoughts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1}', {"a": 1}),
        ('Sure: {"a": {"b": "c"}}. Anything else?', {"a": {"b": "c"}}),
        ('{"a": "\\ud83d"}', {}),  # half a character, which no JSON of ours can carry on
        ("[1]", {}),
        ("{", {}),
        ("} {", {}),
        ("", {}),
        ('{"a":' * 2000 + "1" + "}" * 2000, {}),
    ],
)
def test_the_object_in_an_answer(text, said):
    assert object_in(text) == said


async def test_whoever_asks_outside_a_request_reads_no_thoughts_either(tmp_path):
    tokens = ("<think>", "maybe {}", "</think>", '{"skills": ["law"]}')
    entry = ExpertEntry(id="a", engine="fake")
    expert = FakeExpert(entry, FakeConfig(tokens=tokens), Setting(tmp_path))
    said = await Lone(expert).ask("a", Request(model="a", prompt="x"))
    assert said == without_thoughts("".join(tokens)) == '{"skills": ["law"]}'
