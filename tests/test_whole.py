"""Pieces are joined in one place, however they were cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.config import ExpertEntry, Setting
from motet.experts.asking import Lone
from motet.experts.fake import FakeConfig, FakeExpert
from motet.types import Chunk, Request, Usage
from motet.whole import Whole, collect, joined, object_in, without_thoughts

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def cut(text, places):
    """Return the pieces of a text cut at those places."""
    marks = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(marks)]


@given(
    TEXT, st.lists(st.integers(0, 20), max_size=4), TEXT, st.lists(st.integers(0, 20), max_size=4)
)
def test_however_it_is_cut_the_answer_is_the_same(words, at, arguments, there):
    calls = [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]
    calls += [{"index": 0, "function": {"arguments": piece}} for piece in cut(arguments, there)]
    pieces = [Chunk(text=piece) for piece in cut(words, at)]
    pieces += [Chunk(tool_calls=(call,)) for call in calls]
    whole = joined([*pieces, Chunk(finish="tool_calls"), Chunk(usage=Usage(1, 2))])
    assert whole.text == words and whole.finish == "tool_calls" and whole.usage == Usage(1, 2)
    (chunk,) = whole.chunks()
    assert chunk.tool_calls == (
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}},
    )
    assert joined([chunk]).chunks() == (chunk,)  # joining again changes nothing


def test_choices_stay_apart():
    whole = joined([Chunk(1, "b"), Chunk(0, "a"), Chunk(1, "B", finish="length")])
    assert [(c.index, c.text, c.finish) for c in whole.chunks()] == [
        (0, "a", None), (1, "bB", "length"),
    ]  # fmt: skip


def test_of_nothing_there_is_nothing():
    whole = joined([Chunk(usage=Usage(3, 0))])
    assert (whole.text, whole.finish, whole.chunks()) == ("", "stop", ())


async def test_what_was_said_before_a_failure_is_there():
    async def broken():
        yield Chunk(text="so")
        raise ValueError

    whole = Whole()
    with pytest.raises(ValueError):
        await collect(broken(), whole)
    assert whole.text == "so"


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


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>no</think> yes ", "yes"),
        ("no</think>yes", "yes"),
        ("<think>and so on", ""),
        (" plain ", "plain"),
    ],
)
def test_thoughts_are_no_answer(text, answer):
    assert without_thoughts(text) == answer
