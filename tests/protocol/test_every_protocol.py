"""The same through every protocol: what a client says, and what it is answered.

The reading of a protocol and the writing of it (for hosts that speak it) were written apart, so each
is held against the other.
"""

from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from tests.protocol.conversations import answers, conversations

from motet.errors import ExpertError
from motet.experts.wire.chat import ChatWire
from motet.experts.wire.events import Events
from motet.experts.wire.messages import MessagesWire
from motet.experts.wire.responses import ResponsesWire
from motet.protocol.chat import ChatBody
from motet.protocol.messages.body import MessagesBody
from motet.protocol.responses.body import ResponsesBody
from motet.types import Chunk, Request, Usage
from motet.whole import joined

WIRES = {
    "chat": (ChatBody, ChatWire()),
    "messages": (MessagesBody, MessagesWire(100, "2023-06-01")),
    "responses": (ResponsesBody, ResponsesWire()),
}
TOOLS = (
    {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}, "strict": True}},
    {"type": "function", "function": {"name": "act", "parameters": {"type": "object", "properties": {}}, "strict": False}},
)  # fmt: skip
SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "strict": True, "schema": {"type": "object"}},
}
USAGE = Usage(7, 5, {"prompt_tokens_details": {"cached_tokens": 3}})


def sent(protocol, request):
    """Return the body of a client of a protocol who says what `request` says."""
    return orjson.dumps(WIRES[protocol][1].body(request, request.model))


def read(protocol, content):
    return WIRES[protocol][0].read(content).request(id="req")


@settings(max_examples=3400)
@given(messages=conversations())
def test_nothing_is_lost_doubled_or_moved(messages):
    request = Request(model="auto", messages=tuple(messages), id="req")
    for protocol in WIRES:
        assert list(read(protocol, sent(protocol, request)).messages) == messages, protocol


@pytest.mark.parametrize(
    "choice", [None, "auto", "required", {"type": "function", "function": {"name": "look"}}]
)
@pytest.mark.parametrize("streamed", [False, True])
def test_the_same_request_by_every_protocol(choice, streamed):
    request = Request(
        model="auto",
        messages=({"role": "system", "content": "be brief"}, {"role": "user", "content": "x"}),
        stream=streamed,
        max_tokens=9,
        temperature=0.5,
        top_p=0.5,
        tools=TOOLS,
        tool_choice=choice,
        response_format=SCHEMA,
        extra={"parallel_tool_calls": False} if choice else {},
        id="req",
    )
    for protocol in WIRES:
        got = read(protocol, sent(protocol, request))
        # Of itself a protocol says only under which name the bound came, and what is its own.
        got = replace(
            got, native={}, extra={k: v for k, v in got.extra.items() if k != "stream_options"}
        )
        assert got == replace(request, max_tokens_name=got.max_tokens_name), protocol


@pytest.mark.parametrize("protocol", WIRES)
@settings(max_examples=500)
@given(chunks=answers())
def test_an_answer_comes_out_as_it_went_in(protocol, chunks):
    kind, wire = WIRES[protocol]
    body = kind.read(
        sent(protocol, Request(model="auto", messages=({"role": "user", "content": "x"},)))
    )
    framer, whole = body.framer(), joined([*chunks, Chunk(usage=USAGE)])
    stream = (
        framer.first("e")
        + b"".join(framer.piece(c, "e") for c in chunks)
        + framer.last("e", USAGE, None)
    )
    reader, events = wire.reader("e"), Events()
    came = [
        c
        for data in [*events.feed(stream), *events.end()]
        if data != b"[DONE]"
        for c in reader.read_json(data)
    ]
    assert reader.complete
    one = wire.reader("e").read_json(kind.read(sent(protocol, Request(model="auto", messages=({"role": "user", "content": "x"},)))).framer().whole(whole, "e", USAGE, None))  # fmt: skip
    for got in (joined(came), joined(one)):
        assert_same(got.choices[0], whole.choices[0])
    if protocol != "chat":
        assert joined(came).usage.cached_tokens == 3 and joined(came).usage.total_tokens == 12


def assert_same(got, wanted):
    assert got.text == wanted.text and got.finish == wanted.finish
    assert "".join(got.reasoning) == "".join(wanted.reasoning)
    ours = [
        (c["id"], c["function"]["name"], orjson.loads(c["function"]["arguments"]))
        for c in got.whole_tool_calls
    ]
    theirs = [
        (c["id"], c["function"]["name"], orjson.loads(c["function"]["arguments"]))
        for c in wanted.whole_tool_calls
    ]
    assert sorted(ours, key=str) == sorted(theirs, key=str)


@pytest.mark.parametrize("protocol", ["messages", "responses"])
def test_one_answer_goes_out_whatever_else_an_expert_sends(protocol):
    body = WIRES[protocol][0].read(
        sent(protocol, Request(model="auto", messages=({"role": "user", "content": "x"},)))
    )
    chunks = [Chunk(text="a"), Chunk(index=1, text="b"), Chunk(text="c")]
    ends = [Chunk(finish="stop"), Chunk(index=1, finish="length")]
    framer = body.framer()
    stream = framer.first("e") + b"".join(framer.piece(c, "e") for c in [*chunks, *ends])
    stream += framer.last("e", USAGE, None)
    reader, events = WIRES[protocol][1].reader("e"), Events()
    read = [c for data in events.feed(stream) if data != b"[DONE]" for c in reader.read_json(data)]
    assert (joined(read).text, joined(read).finish) == ("ac", "stop")


@settings(max_examples=300)
@given(chunks=answers())
def test_blocks_of_messages_stand_one_after_another(chunks):
    framer = MessagesBody.of(
        {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}
    ).framer()
    stream = (
        framer.first("e")
        + b"".join(framer.piece(c, "e") for c in chunks)
        + framer.last("e", USAGE, None)
    )
    events = [orjson.loads(data) for data in Events().feed(stream)]
    assert events[0]["type"] == "message_start" and [e["type"] for e in events[-2:]] == [
        "message_delta",
        "message_stop",
    ]
    place, is_open = 0, False
    for event in events[1:-2]:
        assert event["index"] == place
        assert is_open == (event["type"] != "content_block_start")
        is_open = event["type"] != "content_block_stop"
        place += not is_open
    assert not is_open


@settings(max_examples=300)
@given(chunks=answers())
def test_items_of_responses_stand_one_after_another(chunks):
    framer = ResponsesBody.of({"model": "m", "input": "x"}).framer()
    stream = (
        framer.first("e")
        + b"".join(framer.piece(c, "e") for c in chunks)
        + framer.last("e", USAGE, None)
    )
    events = [orjson.loads(data) for data in Events().feed(stream) if data != b"[DONE]"]
    assert [e["sequence_number"] for e in events] == list(range(len(events)))
    ends = [e for e in events if e["type"] in ("response.completed", "response.incomplete")]
    assert ends == events[-1:]
    added = [e for e in events if e["type"] == "response.output_item.added"]
    done = [e for e in events if e["type"] == "response.output_item.done"]
    assert (
        [e["output_index"] for e in added]
        == [e["output_index"] for e in done]
        == list(range(len(added)))
    )
    assert [e["item"] for e in done] == ends[0]["response"]["output"]
    assert all(item["status"] == "completed" for item in ends[0]["response"]["output"])
    for item, begun in zip(ends[0]["response"]["output"], added, strict=True):
        assert begun["item"]["id"] == item["id"] and begun["item"]["status"] == "in_progress"
        deltas = [
            e["delta"]
            for e in events
            if e.get("item_id") == item["id"] and e["type"].endswith(".delta")
        ]
        told = (
            item.get("arguments")
            if item["type"] == "function_call"
            else "".join(part["text"] for part in item["content"])
        )
        assert "".join(deltas) == told


@pytest.mark.parametrize("protocol", ["messages", "responses"])
@pytest.mark.parametrize(
    "payload",
    [
        [], 3, None, {"error": {"message": "no", "type": "overloaded_error"}}, {"type": "error", "message": "no"},
        {"type": "message", "content": 3}, {"type": "message", "content": [3]}, {"object": "response", "output": {}},
        {"object": "response", "output": [{"type": "message", "content": ["x"]}]},
        {"type": "content_block_start", "content_block": 1}, {"type": "content_block_delta", "delta": []},
        {"type": "response.output_text.delta", "delta": {}}, {"type": "response.failed", "response": {"status": "failed"}},
        {"type": "response.output_item.added", "item": 4}, {"type": "message_delta", "delta": {}, "usage": 4},
    ],
)  # fmt: skip
def test_an_odd_answer_is_the_experts_failure_or_nothing(protocol, payload):
    reader = WIRES[protocol][1].reader("e")
    try:
        chunks = reader.read(payload)
    except ExpertError as error:
        assert error.expert == "e"
    else:
        assert all(chunk.says_nothing for chunk in chunks) and not reader.complete


ODD = ("x", 5, True, {"a": 1}, [1], [None], [[]])


@pytest.mark.parametrize("value", ODD, ids=str)
@pytest.mark.parametrize("protocol", ["messages", "responses"])
@pytest.mark.parametrize("field", ["thinking_blocks", "reasoning_items", "logprobs"])
def test_what_an_expert_sends_beside_its_words_breaks_no_stream(protocol, field, value):
    beside = {} if field == "logprobs" else {field: value}
    choice = {"index": 0, "delta": {"content": "a", **beside}, "finish_reason": "stop"}
    if field == "logprobs":
        choice["logprobs"] = {"content": value}
    chunks = WIRES["chat"][1].reader("e").read_json(orjson.dumps({"choices": [choice]}))
    body = WIRES[protocol][0].read(
        sent(protocol, Request(model="auto", messages=({"role": "user", "content": "x"},)))
    )
    framer = body.framer()
    stream = framer.first("e") + b"".join(framer.piece(c, "e") for c in chunks)
    stream += framer.last("e", USAGE, None)
    reader, events = WIRES[protocol][1].reader("e"), Events()
    read = [c for data in events.feed(stream) if data != b"[DONE]" for c in reader.read_json(data)]
    assert joined(read).text == "a" and reader.complete


@pytest.mark.parametrize("place", [[], {}, "x", None])
def test_the_place_of_an_item_may_be_anything(place):
    call = {"type": "function_call", "call_id": "c", "name": "f"}
    reader = ResponsesWire().reader("e")
    chunks = [
        chunk
        for event in (
            {"type": "response.output_item.added", "output_index": place, "item": call},
            {
                "type": "response.function_call_arguments.delta",
                "output_index": place,
                "delta": "{}",
            },
        )
        for chunk in reader.read_json(orjson.dumps(event))
    ]
    assert joined(chunks).choices[0].whole_tool_calls[0]["function"]["arguments"] == "{}"
