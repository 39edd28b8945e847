"""OpenAI's wire format: what goes out, and what comes back."""

import pytest

from motet.errors import ContextLengthExceeded, ExpertError, ExpertOverloaded, ExpertUnavailable
from motet.experts.wire import body_of, chunks_of, error_from, error_in, error_of, event_data
from motet.types import Chunk, Request, Usage

MESSAGES = ({"role": "user", "content": "hi"},)


def test_what_is_not_asked_for_does_not_go_out():
    request = Request(model="auto", messages=MESSAGES)
    assert body_of(request, "m") == {"model": "m", "messages": list(MESSAGES)}
    assert body_of(Request(model="auto", prompt="p"), "m") == {"model": "m", "prompt": "p"}


def test_a_choice_of_tools_goes_out_only_with_tools():
    tool = {"type": "function", "function": {"name": "f"}}
    without = Request(model="auto", messages=MESSAGES, tool_choice="auto")
    assert "tool_choice" not in body_of(without, "m")
    body = body_of(Request(model="auto", messages=MESSAGES, tools=(tool,), tool_choice="auto"), "m")
    assert (body["tools"], body["tool_choice"]) == ([tool], "auto")


def test_no_extra_field_takes_the_place_of_a_known_one():
    request = Request(model="auto", prompt="p", extra={"model": "other", "top_k": 4})
    assert body_of(request, "m") == {"model": "m", "top_k": 4, "prompt": "p"}


def test_chunks_of_chats_completions_refusals_and_usage():
    payload = {
        "choices": [
            {"index": 1, "delta": {"content": "a", "reasoning": "hm"}},
            {"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"},
            {"text": "t"},
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": None},
    }
    assert list(chunks_of(payload)) == [
        Chunk(index=1, text="a", reasoning="hm"),
        Chunk(text="no", finish="stop"),
        Chunk(text="t"),
        Chunk(usage=Usage(3, 0)),
    ]
    assert list(chunks_of({"choices": None})) == []


def test_events_are_taken_whole_and_what_is_not_yet_whole_stays():
    buffer = bytearray(b": comment\r\nevent: x\r\ndata: one\r\n\r\ndata:two\n\nda")
    assert list(event_data(buffer)) == [b"one", b"two"]
    assert buffer == b"da"
    assert list(event_data(buffer)) == [] and buffer == b"da"
    buffer += b"ta: three\n"
    assert list(event_data(buffer)) == [b"three"] and buffer == b""


def test_an_event_may_carry_an_error():
    assert error_in({"choices": []}, "e") is None
    assert type(error_in({"error": {"message": "boom", "code": "x"}}, "e")) is ExpertError
    assert type(error_in({"error": "boom"}, "e")) is ExpertError
    assert type(error_in({"error": {"message": "full", "code": 429}}, "e")) is ExpertOverloaded


@pytest.mark.parametrize(
    ("said", "wait"), [(None, 1.0), ("7", 7.0), ("-3", 1.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 1.0)]
)
def test_how_long_to_wait_is_as_said_or_a_second(said, wait):
    error = error_of("e", 429, b"{}", said)
    assert type(error) is ExpertOverloaded and error.retry_after == wait


@pytest.mark.parametrize("body", [b"<html>gone</html>", b'"gone"', b'{"detail": "gone"}'])
def test_bodies_that_are_no_error_object_say_what_they_can(body):
    error = error_of("e", 503, body, None)
    assert type(error) is ExpertUnavailable and "gone" in str(error)


def test_a_prompt_that_is_too_long_is_told_with_its_numbers_where_there_are_any():
    bare = error_from("e", 400, {"message": "too long", "code": "context_length_exceeded"})
    assert type(bare) is ContextLengthExceeded and bare.wanted > bare.limit
    said = error_from("e", 400, {"message": "maximum context length is 10 tokens, got 25"})
    assert (said.limit, said.wanted) == (10, 25)
