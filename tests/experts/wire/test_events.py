"""Events are found however their bytes are cut and their lines end."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.experts.wire.events import Events

ENDS = [b"\n", b"\r\n", b"\r"]


def read(content, at=()):
    events, marks = (
        Events(),
        sorted({0, len(content), *(place % (len(content) + 1) for place in at)}),
    )
    taken = []
    for start, end in pairwise(marks):
        taken += events.feed(content[start:end])
    return taken + list(events.end())


@given(
    st.lists(st.sampled_from([b'{"a": 1}', b"[DONE]", b"plain"]), max_size=5),
    st.sampled_from(ENDS),
    st.booleans(),
    st.sampled_from([b"", b"\xef\xbb\xbf", b": hello\n\n"]),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_however_it_is_cut(data, end, space, before, at):
    colon = b"data: " if space else b"data:"
    content = before + b"".join(colon + each + end + end for each in data)
    assert read(content, at) == data


@given(st.lists(st.integers(0, 60), max_size=6), st.sampled_from(ENDS))
def test_a_value_on_several_lines_is_one_event(at, end):
    content = end.join([b"event: x", b"data: {", b'data: "a": 1', b"data: }", b"", b""])
    assert read(content, at) == [b'{\n"a": 1\n}']


@pytest.mark.parametrize("end", ENDS)
def test_neither_an_empty_line_nor_a_last_line_break_is_needed(end):
    assert read(end.join([b'data: {"a": 1}', b'data: {"b": 2}', b"data: [DONE]"])) == [
        b'{"a": 1}', b'{"b": 2}', b"[DONE]",
    ]  # fmt: skip


def test_an_event_goes_out_as_soon_as_its_line_has_ended():
    events = Events()
    assert list(events.feed(b'data: {"a": 1}')) == [] and events.pending == 14
    assert list(events.feed(b"\n")) == [b'{"a": 1}'] and events.pending == 0


def test_what_is_held_is_counted():
    events = Events()
    list(events.feed(b"data: a\n" + b"x" * 100))
    assert events.pending == 101
