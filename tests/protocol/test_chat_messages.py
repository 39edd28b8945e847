"""Messages and tools of real clients: what is read is checked, the rest travels, nulls are absent."""

import pytest

from motet.errors import RequestError
from motet.protocol.chat_messages import format_of, messages_of, tool_choice_of, tools_of

CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
URL = {"url": "http://x/y"}


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "hi", "name": "bob", "own": 3},
        {"role": "user", "content": [{"type": "video_url", "video_url": URL}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA==", "format": "flac"}}]},
        {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {}}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": "data:"}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "assistant", "tool_calls": [{"id": "b", "type": "custom", "custom": {"name": "sql"}}]},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "image_url", "image_url": URL}]},
        {"role": "ipython", "content": "x"},
    ],
)  # fmt: skip
def test_what_clients_send_travels_untouched(message):
    assert messages_of([message]) == (message,)


def test_nulls_are_absences():
    dumped = {
        "role": "assistant", "content": "x", "refusal": None, "tool_calls": None, "audio": None,
    }  # fmt: skip
    image = {"type": "image_url", "image_url": {"url": "u", "detail": None}}
    call = {**CALL, "index": None, "function": {**CALL["function"], "x": None}}
    assert messages_of([dumped]) == ({"role": "assistant", "content": "x"},)
    (message,) = messages_of([{"role": "user", "content": [image], "name": None}])
    assert message == {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": "u"}}],
    }
    (message,) = messages_of([{"role": "assistant", "content": None, "tool_calls": [call]}])
    assert message == {"role": "assistant", "content": None, "tool_calls": [CALL]}
    tool = {"type": "function", "function": {"name": "f", "description": None, "strict": None}}
    assert tools_of([tool]) == ({"type": "function", "function": {"name": "f"}},)


@pytest.mark.parametrize(
    ("message", "param", "said"),
    [
        ("hi", "messages[0]", "must be an object. Got 'hi'."),
        ({}, "messages[0].role", "Field required."),
        ({"role": 1}, "messages[0].role", "must be text. Got 1."),
        ({"role": "user"}, "messages[0].content", "Field required."),
        ({"role": "user", "content": None}, "messages[0].content", "Field required."),
        ({"role": "user", "content": {}}, "messages[0].content", "must be text or a list of parts. Got a mapping."),
        ({"role": "user", "content": ["a"]}, "messages[0].content[0]", "must be an object. Got 'a'."),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[0].content[0].text", "Field required."),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, "messages[0].content[0].image_url.url", "Field required."),
        ({"role": "user", "content": "x", "name": 5}, "messages[0].name", "must be text. Got 5."),
        ({"role": "tool", "content": "x"}, "messages[0].tool_call_id", "Field required."),
        ({"role": "assistant", "tool_calls": {}}, "messages[0].tool_calls", "must be a list. Got a mapping."),
        ({"role": "assistant", "tool_calls": [{"type": "function"}]}, "messages[0].tool_calls[0].function", "Field required."),
        ({"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {}}}]}, "messages[0].tool_calls[0].function.arguments", "must be text. Got a mapping."),
    ],
)  # fmt: skip
def test_a_fault_is_told_where_it_is(message, param, said):
    with pytest.raises(RequestError) as caught:
        messages_of([message])
    assert caught.value.param == param and str(caught.value) == f"{param}: {said}"


def test_choices_and_formats():
    named = {"type": "function", "function": {"name": "f"}}
    assert [tool_choice_of(value) for value in (None, "auto", named)] == [None, "auto", named]
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
    assert [format_of(value) for value in (None, {"type": "grammar"}, schema)] == [
        None, {"type": "grammar"}, schema,
    ]  # fmt: skip
    for wrong in ({}, 5, "json", {"type": "json_schema"}):
        with pytest.raises(RequestError, match="response_format"):
            format_of(wrong)
    for wrong in ({}, 5, "any"):
        with pytest.raises(RequestError, match="tool_choice"):
            tool_choice_of(wrong)


def test_however_long_a_value_is_little_of_it_is_told():
    with pytest.raises(RequestError) as caught:
        messages_of([["x" * 10**6] * 10**4])
    assert len(str(caught.value)) < 600
