"""Framers own every byte of an answer: streams and whole bodies, chat and completions."""

import json

import pytest

from motet.errors import ExpertError
from motet.protocol.chat import ChatBody
from motet.protocol.completions import CompletionBody
from motet.protocol.frames import event
from motet.types import Chunk, Usage
from motet.whole import joined

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
COMPLETION = {"model": "m", "prompt": "hi"}
CHUNKS = [Chunk(text="a\nb"), Chunk(text="é"), Chunk(finish="length"), Chunk(usage=Usage(2, 3))]


def events(frames):
    """Return the data of each event; every frame must be whole."""
    assert frames.endswith(b"\n\n")
    return [
        data if (data := frame.removeprefix(b"data: ")) == b"[DONE]" else json.loads(data)
        for frame in frames.split(b"\n\n")[:-1]
    ]


@pytest.mark.parametrize(("kind", "body"), [(ChatBody, CHAT), (CompletionBody, COMPLETION)])
@pytest.mark.parametrize("usage", [True, False])
def test_a_stream(kind, body, usage):
    framer = kind.of({**body, "stream_options": {"include_usage": usage}}).framer(created=7)
    frames = framer.first("x") + b"".join(framer.piece(chunk, "x") for chunk in CHUNKS)
    frames += framer.last("x", Usage(2, 3), None)
    *pieces, done = events(frames)
    assert done == b"[DONE]"
    assert len({piece["id"] for piece in pieces}) == 1
    assert {piece["created"] for piece in pieces} == {7}
    counts = [piece["usage"] for piece in pieces if "usage" in piece]
    assert counts == ([{"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}] * usage)
    assert [c["finish_reason"] for p in pieces for c in p["choices"]] == [None, None, "length"]


@pytest.mark.parametrize(("kind", "body"), [(ChatBody, CHAT), (CompletionBody, COMPLETION)])
def test_an_error_ends_a_stream_as_an_event(kind, body):
    framer = kind.of(body).framer()
    error, done = events(framer.error(ExpertError("x", "broke.")))
    assert error["error"]["code"] == "expert_failed" and done == b"[DONE]"


def test_a_whole_answer_is_what_its_stream_says():
    framer = ChatBody.of(CHAT).framer("chatcmpl-1", 7)
    body = json.loads(framer.whole(joined(CHUNKS), "x", Usage(2, 3), {"why": 1}))
    assert body["choices"][0]["message"]["content"] == "a\nbé"
    assert body["choices"][0]["finish_reason"] == "length"
    assert (body["id"], body["created"], body["model"]) == ("chatcmpl-1", 7, "x")
    assert body["motet"] == {"why": 1} and body["usage"]["total_tokens"] == 5


def test_events_may_have_names():
    assert event(b"{}") == b"data: {}\n\n"
    assert event(b"{}", "message_start") == b"event: message_start\ndata: {}\n\n"
