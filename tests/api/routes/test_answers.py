"""Chat, completions and decisions over HTTP: the official client, its types, and bad bodies."""

import httpx
import openai
import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from tests.api.events import events


def test_route_decides_without_answering(service):
    body = {"model": "auto", "messages": [{"role": "user", "content": "some sql"}]}
    decision = service.post("/v1/route", body).json()
    assert decision["primary"] == "coder"
    assert decision["reason"].startswith("rule 'code'")
    assert service.post("/v1/route", {**body, "model": "x"}).status_code == 404


def test_official_client(client):
    answer = client.chat.completions.create(
        model="auto", messages=[{"role": "user", "content": "good day"}]
    )
    assert answer.choices[0].message.content == "good day"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "echo"
    assert answer.usage.total_tokens == 4


def test_official_client_streams(client):
    stream = client.chat.completions.create(
        model="auto",
        messages=[{"role": "user", "content": "good day"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "good day"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 2


def test_official_client_completions(client):
    answer = client.completions.create(model="echo", prompt="a b c", max_tokens=2)
    assert answer.choices[0].text == "a b "
    assert answer.choices[0].finish_reason == "length"
    assert "".join(
        c.choices[0].text for c in client.completions.create(model="echo", prompt="a b", stream=True) if c.choices
    ) == "a b"  # fmt: skip


def test_official_client_sees_typed_errors(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="nope", messages=[{"role": "user", "content": "x"}])
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.APIError, match="scripted failure"):
        list(client.chat.completions.create(model="breaks", messages=[{"role": "user", "content": "x"}], stream=True))  # fmt: skip


def test_wire_form_is_openais(service):
    whole = service.chat("hello", n=2, logprobs=True).json()
    assert ChatCompletion.model_validate(whole, strict=True).choices[1].index == 1
    for event in events(service.chat("hello", stream=True)):
        ChatCompletionChunk.model_validate(event, strict=True)
    text = service.post("/v1/completions", {"model": "echo", "prompt": ["hi"]}).json()
    Completion.model_validate(text, strict=True)


def test_several_choices(service):
    whole = service.chat("hello", n=3).json()
    assert [c["message"]["content"] for c in whole["choices"]] == ["hello"] * 3
    assert whole["usage"]["completion_tokens"] == 3
    seen = {
        c["index"] for e in events(service.chat("hello", n=3, stream=True)) for c in e["choices"]
    }
    assert seen == {0, 1, 2}


@pytest.mark.parametrize("stream", [False, True])
def test_all_experts_down(service, stream):
    answer = service.chat("x", model="hopeless", stream=stream)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["error"]["code"] == "no_expert_available"
    assert service.chat("x", model="offline").status_code == 503


@pytest.mark.parametrize("stream", [False, True])
def test_context_too_long(service, stream):
    answer = service.chat("word " * 300, stream=stream)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "context_length_exceeded"
    assert "200" in error["message"] and "300" in error["message"]


BAD = [
    (b"{", None, "not valid JSON"),
    (b"[]", None, "valid dictionary"),
    (b'{"model": "auto"}', "messages", "Field required"),
    (b'{"model": "auto", "messages": []}', "messages", "at least 1 item"),
    (b'{"model": "auto", "messages": "hi"}', "messages", "valid list"),
    (b'{"model": "auto", "messages": [{"content": "x"}]}', "messages[0].role", "Field required"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": 7}]}', "messages[0].content", "must be text"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": [{"text": "x"}]}]}', "messages[0].content[0].type", "Field required"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function"}]}', "tools[0].function", "Field required"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "tool_choice": "atuo"}', "tool_choice", "Did you mean 'auto'?"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "a": ' + b"[" * 300 + b"]" * 300 + b"}", None, "nested more than"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "temperature": "hot"}', "temperature", "valid number"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "temperature": 9}', "temperature", "less than or equal to 2"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "n": 0}', "n", "greater than or equal to 1"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1.5}', "max_tokens", "integer"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "stream": "yes"}', "stream", "boolean"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "motet": {"explian": true}}', "motet.explian", "not permitted"),
    (b'{"model": "", "messages": [{"role": "user", "content": "x"}]}', "model", "at least 1 character"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "param", "message"), BAD, ids=range(len(BAD)))
def test_bad_bodies(service, content, param, message):
    answer = httpx.post(f"{service.url}/v1/chat/completions", content=content)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert message in error["message"]
    if param:
        assert error["param"] == param


def test_nulls_are_absences(service):
    fields = dict.fromkeys(("temperature", "n", "stop", "stream", "tools", "max_tokens"))
    assert service.chat("x", **fields).status_code == 200


def test_capability_that_nobody_has(service):
    assert service.chat("x", model="coder", tools=[{"type": "function", "function": {"name": "f"}}]).status_code == 200  # fmt: skip


def test_several_prompts_are_choices_of_one_answer(service, client):
    prompts = ["a b", "some sql", "c"]
    answer = client.completions.create(model="auto", prompt=prompts, n=2)
    assert [choice.index for choice in answer.choices] == list(range(6))
    texts = [choice.text for choice in answer.choices]
    assert texts == ["a b", "a b", "code here", "code here", "c", "c"]
    assert answer.usage.completion_tokens == 10
    parts = [""] * 6
    for chunk in client.completions.create(model="auto", prompt=prompts, n=2, stream=True):
        for choice in chunk.choices:
            parts[choice.index] += choice.text
    assert parts == texts
    with pytest.raises(openai.APIError, match="scripted failure"):
        client.completions.create(model="breaks", prompt=["a", "b"])


@pytest.mark.parametrize("prompt", [[1, 2], [[1, 2], [3]], []])
def test_prompts_may_be_token_ids_and_there_is_at_least_one(service, prompt):
    answer = service.post("/v1/completions", {"model": "echo", "prompt": prompt})
    assert answer.status_code == (200 if prompt else 400)


def test_no_tokens_are_wanted(service):
    answer = service.chat("hello", max_tokens=0).json()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["choices"][0]["message"]["content"] == ""


def test_a_big_body_of_wrong_parts_is_refused_at_once(service):
    answer = service.chat([1] * 500_000)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "messages[0].content[0]"
