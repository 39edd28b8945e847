"""Chat completions: the request that a body means, and the objects of an answer."""

import json

import pytest

from motet.protocol.chat import ChatBody, usage_json
from motet.types import Chunk, Usage
from motet.whole import joined

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_the_newer_name_of_max_tokens_has_the_last_word():
    assert ChatBody.of({**BODY, "max_tokens": 3}).request().max_tokens == 3
    both = ChatBody.of({**BODY, "max_tokens": 3, "max_completion_tokens": 5})
    assert both.request().max_tokens == 5


def test_log_probabilities_are_wanted_only_where_they_are_asked_for():
    assert ChatBody.of({**BODY, "top_logprobs": 2}).request().top_logprobs is None
    assert ChatBody.of({**BODY, "logprobs": True}).request().top_logprobs == 0
    assert ChatBody.of({**BODY, "logprobs": True, "top_logprobs": 2}).request().top_logprobs == 2


@pytest.mark.parametrize(
    ("fields", "session"),
    [
        ({}, ""),
        ({"prompt_cache_key": "trip"}, "trip"),
        ({"metadata": {"session_id": "a", "user_id": "b"}}, "a"),
        ({"metadata": {"user_id": "b"}}, "b"),
        ({"prompt_cache_key": "trip", "metadata": {"user_id": "b"}}, "trip"),
        ({"prompt_cache_key": "x" * 300}, ""),
        ({"prompt_cache_key": 7, "session": "forged"}, ""),
    ],
)
def test_a_conversation_is_named_by_the_fields_that_clients_have(fields, session):
    request = ChatBody.of({**BODY, **fields}).request()
    assert request.session == session
    assert request.extra.get("prompt_cache_key") == fields.get("prompt_cache_key")


def test_a_sub_agent_says_so():
    assert ChatBody.of({**BODY, "metadata": {"subagent": "x"}}).request().subagent == "x"


def test_messages_and_tools_are_whole_with_keys_that_openais_library_does_not_know():
    tool = {"type": "function", "function": {"name": "f"}, "cache": 1}
    message = {"role": "user", "content": [{"type": "text", "text": "hi", "mark": 2}], "own": 3}
    request = ChatBody.of({**BODY, "messages": [message], "tools": [tool]}).request()
    assert request.messages == (message,) and request.tools == (tool,)


def test_the_first_piece_of_each_choice_names_the_role():
    framer = ChatBody.of(BODY).framer("chatcmpl-1", 7)
    pieces = [Chunk(index=i, text=t) for i, t in [(0, "a"), (1, "b"), (0, "c")]]
    frames = [framer.piece(chunk, "x").removeprefix(b"data: ") for chunk in pieces]
    deltas = [json.loads(frame)["choices"][0]["delta"] for frame in frames]
    assert deltas == [
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"content": "c"},
    ]
    assert framer.piece(Chunk(usage=Usage(1, 1)), "x") == b""


def test_a_message_of_tool_calls_alone_has_no_content():
    framer = ChatBody.of(BODY).framer("chatcmpl-1", 7)
    answer = joined([Chunk(tool_calls=(CALL,), reasoning="hm"), Chunk(finish="tool_calls")])
    choice = json.loads(framer.whole(answer, "x", Usage(1, 2), None))["choices"][0]
    assert choice["message"]["content"] is None and choice["message"]["reasoning_content"] == "hm"
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    assert choice["finish_reason"] == "tool_calls"


def test_usage():
    assert usage_json(Usage(2, 3)) == {
        "prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5,
    }  # fmt: skip
