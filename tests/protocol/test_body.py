"""What bodies are refused and how it is told, and what all of them mean alike."""

import json

import pytest

from motet.errors import RequestError
from motet.protocol.batches import BatchBody
from motet.protocol.body import json_of
from motet.protocol.chat import ChatBody
from motet.protocol.completions import CompletionBody
from motet.protocol.messages.body import MessagesBody
from motet.protocol.responses.body import ResponsesBody
from motet.types import ANYBODY, Caller

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
COMPLETION = {"model": "m", "prompt": "hi"}
BATCH = {"input_file_id": "f", "endpoint": "/v1/completions", "completion_window": "24h"}


@pytest.mark.parametrize("kind", [ChatBody, CompletionBody, BatchBody])
def test_what_is_no_json_object_is_refused(kind):
    with pytest.raises(RequestError, match="not valid JSON.*Send a JSON object"):
        kind.read(b"{")
    with pytest.raises(RequestError, match="The body: .*dictionary"):
        kind.read(b"[]")


def test_json_is_read_as_it_stands():
    assert json_of('{"a": [1, "é"]}'.encode()) == {"a": [1, "é"]}


@pytest.mark.parametrize(
    ("kind", "values", "param", "said"),
    [
        (ChatBody, {"model": "m"}, "messages", "messages: Field required."),
        (ChatBody, {**CHAT, "temperature": 9}, "temperature", "less than or equal to 2. Got 9."),
        (ChatBody, {**CHAT, "n": True}, "n", "valid integer. Got True."),
        (ChatBody, {**CHAT, "stream_options": {"include_usage": "so"}}, "stream_options.include_usage", "boolean"),
        (ChatBody, {**CHAT, "messages": [*CHAT["messages"], 7]}, "messages[1]", "must be an object. Got 7."),
        (ChatBody, {**CHAT, "messages": [{"role": "user"}]}, "messages[0].content", "Field required"),
        (ChatBody, {**CHAT, "messages": [{"role": "user", "content": [{"type": "file", "file": 5}]}]}, "messages[0].content[0].file", "must be an object"),
        (ChatBody, {**CHAT, "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": 5}}]}]}, "messages[0].content[0].file.file_data", "must be text"),
        (ChatBody, {**CHAT, "messages": [{"role": "assistant", "content": "a", "thinking_blocks": [1]}]}, "messages[0].thinking_blocks[0]", "must be an object"),
        (ChatBody, {**CHAT, "messages": [{"role": "assistant", "content": "a", "reasoning_items": 5}]}, "messages[0].reasoning_items", "must be a list"),
        (ChatBody, {**CHAT, "tool_choice": {"type": "function", "function": [1]}}, "tool_choice.function", "must be an object"),
        (ChatBody, {**CHAT, "tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": [1]}}}, "tool_choice.allowed_tools.tools[0]", "must be an object"),
        (ChatBody, {**CHAT, "messages": [{"role": "assistant", "tool_calls": [{"type": 5, "function": "x"}]}]}, "messages[0].tool_calls[0].function", "must be an object"),
        (ChatBody, {**CHAT, "messages": [{"role": "assistant", "tool_calls": [{"type": "custom", "custom": "x"}]}]}, "messages[0].tool_calls[0].custom", "must be an object"),
        (CompletionBody, {**COMPLETION, "prompt": ["a", 1]}, "prompt", "Got 1."),
        (ChatBody, {**CHAT, "motet": {"explain": 1}}, "motet.explain", "boolean"),
        (CompletionBody, {**COMPLETION, "stop": ["a"] * 17}, "stop", "stop: "),
        (BatchBody, {**BATCH, "completion_window": "soon"}, "completion_window", "'24h', '30m' or '90s' is expected"),
        (BatchBody, {**BATCH, "metadata": {"a": 1}}, "metadata.a", "valid string"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_the_path_of_its_field(kind, values, param, said):
    with pytest.raises(RequestError) as caught:
        kind.read(json.dumps(values).encode())
    assert caught.value.param == param
    assert said in str(caught.value)


def test_a_long_value_is_not_repeated_at_length():
    with pytest.raises(RequestError) as caught:
        ChatBody.of({**CHAT, "temperature": "x" * 5000})
    assert len(str(caught.value)) < 300 and "..." in str(caught.value)


@pytest.mark.parametrize(("kind", "values"), [(ChatBody, CHAT), (CompletionBody, COMPLETION)])
def test_what_all_requests_share(kind, values):
    more = {"stop": "x", "n": 2, "stream": True, "top_k": 4, "min_p": None, "seed": 7, "user": "u"}
    request = kind.of({**values, **more}).request(Caller(key="k"), "req-1")
    assert (request.id, request.caller.key, request.user) == ("req-1", "k", "u")
    assert (request.stop, request.n, request.stream, request.seed) == (("x",), 2, True, 7)
    assert request.extra == {"top_k": 4}  # unnamed fields go on untouched, nulls are absences
    plain = kind.of({**values, "stop": ["", "y"]}).request()
    assert (plain.stop, plain.n, plain.stream, plain.caller) == (("y",), 1, False, ANYBODY)
    assert plain.id.startswith("req-") and plain.id != kind.of(values).request().id


def test_usage_and_explanation_come_when_asked_for():
    asked = {"stream_options": {"include_usage": True}, "motet": {"explain": True}}
    body = ChatBody.of({**CHAT, **asked})
    assert body.include_usage and body.explain
    body = ChatBody.of(CHAT)
    assert not body.include_usage and not body.explain


@pytest.mark.parametrize("kind", [ChatBody, CompletionBody, MessagesBody, ResponsesBody])
def test_every_protocol_may_name_its_conversation(kind):
    values = {**CHAT, **COMPLETION, "max_tokens": 5, "input": "hi"}
    assert kind.of(values).session == ""
    assert kind.of({**values, "prompt_cache_key": "trip"}).session == "trip"
    assert kind.of({**values, "metadata": {"user_id": "me"}}).session == "me"


MESSAGES = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
RESPONSES = {"model": "m", "input": "hi"}


@pytest.mark.parametrize(
    ("kind", "values", "name", "ours"),
    [
        (MessagesBody, MESSAGES, "max_completion_tokens", "max_tokens"),
        (MessagesBody, MESSAGES, "n", "max_tokens"),
        (ResponsesBody, RESPONSES, "max_tokens", "max_output_tokens"),
        (ResponsesBody, RESPONSES, "max_completion_tokens", "max_output_tokens"),
        (ResponsesBody, RESPONSES, "n", "max_output_tokens"),
        (ChatBody, CHAT, "max_output_tokens", "max_tokens or max_completion_tokens"),
    ],
)
def test_a_bound_in_words_of_another_protocol_goes_past_no_limit(kind, values, name, ours):
    with pytest.raises(RequestError, match=f"{name}: this endpoint.*answer by {ours}"):
        kind.of({**values, name: 50}).request()
    assert name not in kind.of({**values, name: None}).request().extra


@pytest.mark.parametrize(("kind", "values"), [(MessagesBody, MESSAGES), (ResponsesBody, RESPONSES)])
def test_one_choice_is_what_there_is(kind, values):
    assert "n" not in kind.of({**values, "n": 1}).request().extra


def test_a_file_of_responses_has_its_content_as_text():
    part = {"type": "input_file", "file_data": {"x": 1}}
    body = ResponsesBody.of({"model": "m", "input": [{"role": "user", "content": [part]}]})
    with pytest.raises(RequestError, match=r"input\[0\].content\[0\].file_data: must be text"):
        body.request()
