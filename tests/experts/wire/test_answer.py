"""What a host answers is data: chunks, or that expert's error, and nothing else."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.errors import ExpertError, ExpertOverloaded, MotetError
from motet.experts.wire.answer import Reader, usage_of
from motet.protocol.chat import ChatFramer
from motet.types import Chunk, Usage
from motet.whole import joined


def read(*payloads):
    reader = Reader("e")
    return [chunk for payload in payloads for chunk in reader.read(payload)]


def message(**fields):
    return {
        "choices": [
            {"index": 0, "message": {"role": "assistant", **fields}, "finish_reason": "stop"}
        ]
    }


def delta(index=0, finish=None, **fields):
    return {"choices": [{"index": index, "delta": fields, "finish_reason": finish}]}


def test_chats_completions_and_usage():
    payload = {
        "choices": [
            {"index": 1, "delta": {"content": "a", "reasoning": "hm"}},
            {"text": "t", "index": 0},
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": None},
    }
    assert read(payload) == [Chunk(1, "a", "hm"), Chunk(0, "t"), Chunk(usage=Usage(3, 0))]
    assert read({"choices": None}) == []


@pytest.mark.parametrize(
    ("content", "text", "reasoning"),
    [
        ("plain", "plain", ""),
        (None, "", ""),
        ([{"type": "text", "text": "a"}, {"type": "output_text", "text": "b"}, "c"], "abc", ""),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}], "a", "hm"),
        ([{"type": "reasoning", "reasoning": "hm"}], "", "hm"),
        ({"type": "text", "text": "a"}, "a", ""),
        ({"text": "a"}, "a", ""),
    ],
)  # fmt: skip
def test_content_may_come_in_parts(content, text, reasoning):
    (chunk,) = read(message(content=content))
    assert (chunk.text, chunk.reasoning) == (text, reasoning)


def test_parts_that_are_no_text_travel_on():
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    (chunk,) = read(message(content=[image, {"type": "text", "text": "a"}]))
    assert chunk.text == "a" and chunk.message_extra == {"content_parts": [image]}


@pytest.mark.parametrize(
    "payload",
    [
        1, "x", None, [], [1], {"choices": 1}, {"choices": {}}, {"choices": [1]}, {"choices": [None]},
        message(content=1), message(content={"a": 1}), message(content=[1]), message(content=[{"text": 1}]),
        message(tool_calls="abc"), message(tool_calls=[1]), message(tool_calls=[{"function": "f"}]),
        message(tool_calls=[{"function": {"name": 1}}]), {"choices": [{"message": "text"}]},
        {"choices": [{"delta": [1]}]}, message(content=True),
    ],
)  # fmt: skip
def test_what_has_no_clear_meaning_is_the_experts_failure(payload):
    with pytest.raises(ExpertError):
        read(payload)


def test_an_error_of_one_choice_is_the_answers():
    with pytest.raises(ExpertOverloaded, match="full"):
        read({"choices": [{"index": 0, "error": {"code": 429, "message": "full"}}]})


def test_fields_without_a_slot_travel_on_and_empty_ones_do_not():
    payload = message(content="a", refusal=None, audio={"id": "x"}, annotations=[], images=[1])
    payload["choices"][0]["stop_reason"] = 7
    payload |= {"service_tier": "flex", "prompt_logprobs": None}
    (chunk,) = read(payload)
    assert chunk.message_extra == {"audio": {"id": "x"}, "images": [1]}
    assert chunk.choice_extra == {"stop_reason": 7}
    assert chunk.answer_extra == {"service_tier": "flex"}


def call(number, **fields):
    return {"id": f"c{number}", "type": "function", "function": {"name": f"f{number}", "arguments": f"{number}"}, **fields}  # fmt: skip


@pytest.mark.parametrize("index", [{"index": 0}, {}, {"index": None}, {"index": "0"}])
def test_whole_calls_stay_apart_whatever_their_index(index):
    calls = [call(1, **index), call(2, **index)]
    whole = joined(read(message(tool_calls=calls)))
    assert whole.choices[0].whole_tool_calls == [call(1), call(2)]
    streamed = joined(read(delta(tool_calls=[calls[0]]), delta(tool_calls=[calls[1]])))
    assert streamed.choices[0].whole_tool_calls == [call(1), call(2)]


@pytest.mark.parametrize("name", ["f", ""])
def test_fragments_of_a_call_are_joined_by_index_or_in_order(name):
    pieces = [
        delta(tool_calls=[{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]),
        delta(tool_calls=[{"index": 0, "function": {"name": name, "arguments": '{"x"'}}]),
        delta(tool_calls=[{"function": {"arguments": ":1}"}}]),
        delta(tool_calls=[{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}}]),
    ]  # fmt: skip
    calls = joined(read(*pieces)).choices[0].whole_tool_calls
    assert [c["function"] for c in calls] == [
        {"name": "f", "arguments": '{"x":1}'}, {"name": "g", "arguments": "{}"},
    ]  # fmt: skip


def test_calls_of_other_types_and_their_further_fields_are_kept():
    custom = {"id": "b", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}
    signed = call(1, extra_content={"google": {"thought_signature": "SIG"}})
    whole = joined(read(message(tool_calls=[signed, custom])))
    assert whole.choices[0].whole_tool_calls == [signed, custom]


def test_arguments_may_be_an_object():
    said = {"id": 5, "function": {"name": "f", "arguments": {"city": "Oslo"}}}
    (made,) = joined(read(message(tool_calls=said))).choices[0].whole_tool_calls
    assert made["function"]["arguments"] == '{"city":"Oslo"}' and made["id"] == "5"


@pytest.mark.parametrize(
    ("indices", "meant"),
    [([0, 0], [0, 1]), ([None, None], [0, 1]), (["1", "0"], [1, 0]), ([-1, 10**30], [0, 1]), ([1, 1], [1, 2]), ([True, 0], [0, 1])],
)  # fmt: skip
def test_choices_stay_apart_whatever_their_index(indices, meant):
    choices = [{"index": i, "message": {"content": "a"}, "finish_reason": "stop"} for i in indices]
    assert [chunk.index for chunk in read({"choices": choices})] == meant


@pytest.mark.parametrize("said", ["", None, 0, [], {}])
def test_only_a_word_is_a_reason_to_end(said):
    reader = Reader("e")
    (chunk,) = reader.read(delta(content="a", finish=said))
    assert chunk.finish is None and not reader.complete


def test_it_is_complete_once_every_choice_that_began_has_ended():
    reader = Reader("e")
    reader.read(delta(0, content="a"))
    reader.read(delta(1, content="a"))
    reader.read(delta(0, "stop"))
    assert not reader.complete
    reader.read(delta(1, "length"))
    assert reader.complete


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (None, None), ({}, None), ([1], None), ("3", None),
        ({"prompt_tokens": None, "completion_tokens": "7"}, Usage(0, 7)),
        ({"prompt_tokens": -5, "completion_tokens": 1e400}, Usage(0, 0)),
        ({"prompt_tokens": 2.0, "completion_tokens": [1]}, Usage(2, 0)),
        ({"total_tokens": 4}, Usage(0, 0)),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 8}}, Usage(9, 0, {"prompt_tokens_details": {"cached_tokens": 8}})),
    ],
)  # fmt: skip
def test_what_is_no_number_counts_nothing(usage, counted):
    assert usage_of(usage) == counted


@given(
    st.text(st.sampled_from("a\U0001f600é\n"), max_size=6), st.lists(st.integers(0, 80), max_size=4)
)
def test_characters_cut_in_two_are_joined(text, at):
    written = json.dumps(text)[1:-1]
    units = list(_units(written))
    marks = sorted({0, len(units), *(place % (len(units) + 1) for place in at)})
    pieces = ["".join(units[a:b]) for a, b in pairwise(marks)]
    reader = Reader("e")
    chunks = [
        chunk
        for piece in pieces
        for chunk in reader.read_json(b'{"choices":[{"delta":{"content":"%s"}}]}' % piece.encode())
    ]
    assert "".join(chunk.text for chunk in chunks) == text


def _units(written):
    """Yield the escapes and letters of a JSON string, between which an engine may cut it."""
    place = 0
    while place < len(written):
        length = 6 if written.startswith("\\u", place) else 2 if written[place] == "\\" else 1
        yield written[place : place + length]
        place += length


def test_half_a_character_that_stays_alone_is_replaced():
    reader = Reader("e")
    chunks = reader.read_json(b'{"choices":[{"delta":{"content":"a\\ud83d","x":"\\ud83d"}}]}')
    chunks += reader.read_json(
        b'{"choices":[{"delta":{"content":"\\ud83db"},"finish_reason":"stop"}]}'
    )
    assert "".join(chunk.text for chunk in chunks) == "a\ufffd\ufffdb"
    assert chunks[0].message_extra == {"x": "\ufffd"}


def test_numbers_that_json_does_not_have():
    (chunk, _) = Reader("e").read_json(
        b'{"choices":[{"message":{"content":"a"},"logprobs":{"content":[{"logprob":-Infinity,"x":NaN}]},'
        b'"finish_reason":"stop"}],"usage":{"prompt_tokens":Infinity}}'
    )
    assert chunk.logprobs == {"content": [{"logprob": -9999.0, "x": None}]}


@pytest.mark.parametrize(
    "data", [b"", b"{", b"nonsense", b'{"choices":' + b"[" * 300 + b"]" * 300 + b"}"]
)
def test_what_is_no_json_is_told_as_that(data):
    with pytest.raises(ExpertError, match="not JSON"):
        Reader("e").read_json(data)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["choices", "delta", "message", "content", "text", "tool_calls", "index", "id", "usage",
             "function", "name", "arguments", "logprobs", "finish_reason", "error", "type", "x"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@given(st.lists(VALUES, max_size=3))
def test_nothing_comes_out_but_chunks_that_can_be_framed_and_errors_of_ours(payloads):
    reader, framer = Reader("e"), ChatFramer("id", 1, include_usage=True)
    chunks = []
    try:
        for payload in payloads:
            chunks += reader.read(payload)
    except MotetError:
        pass
    whole = joined(chunks)
    for chunk in chunks:
        framer.piece(chunk, "e")
    framer.whole(whole, "e", whole.usage, None)
