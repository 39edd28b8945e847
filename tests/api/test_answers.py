"""Chat and completions over HTTP, streamed and not, through real sockets and the official client."""

import json
import socket
import time

import httpx
import openai
import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from tests.conftest import FLEET, running, wait_for


def events(response):
    lines = [line for line in response.text.split("\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


@pytest.fixture
def client(service):
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as found:
        yield found


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


def test_headers_say_who_answered(service):
    for stream in (False, True):
        headers = service.chat("an sql question", stream=stream).headers
        assert headers["x-motet-experts"] == "coder"
        assert headers["x-motet-composition"] == "auto"
        assert headers["x-motet-decision-id"].startswith("dec-")
        assert headers["x-motet-confidence"] == "1"
    assert float(service.chat("one two").headers["x-motet-cost-usd"]) == pytest.approx(6e-6)


def test_fallback_is_the_same_streamed_or_not(service):
    for stream in (False, True):
        answer = service.chat("x", model="shaky", stream=stream)
        assert answer.status_code == 200
        assert answer.headers["x-motet-experts"] == "echo"


def test_explain(service):
    wanted = {"motet": {"explain": True}}
    whole = service.chat("x", model="shaky", **wanted).json()["motet"]
    streamed = events(service.chat("x", model="shaky", stream=True, **wanted))[-1]["motet"]
    for found in (whole, streamed):
        assert [call["expert"] for call in found["experts"]] == ["dead", "echo"]
        assert found["experts"][0]["error"]
        assert found["decision"]["reason"] == "always 'dead'"
    assert "motet" not in service.chat("x").json()


def test_usage_only_when_asked(service):
    assert all("usage" not in event for event in events(service.chat("x", stream=True)))
    last = events(service.chat("a b", stream=True, stream_options={"include_usage": True}))[-1]
    assert last["usage"] == {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}


def test_several_choices(service):
    whole = service.chat("hello", n=3).json()
    assert [c["message"]["content"] for c in whole["choices"]] == ["hello"] * 3
    assert whole["usage"]["completion_tokens"] == 3
    seen = {
        c["index"] for e in events(service.chat("hello", n=3, stream=True)) for c in e["choices"]
    }
    assert seen == {0, 1, 2}


def test_mid_stream_failure_is_told_in_band(service):
    found = events(service.chat("x", model="breaks", stream=True))
    assert [e["choices"][0]["delta"]["content"] for e in found[:-1]] == ["a", "b"]
    assert found[-1]["error"]["code"] == "expert_failed"


def test_mid_answer_failure_unstreamed(service):
    answer = service.chat("x", model="breaks")
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "expert_failed"


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


def test_deadline(service):
    answer = service.chat("x", model="slow", stream=True, max_tokens=1)
    assert answer.status_code == 200
    began = time.monotonic()
    late = service.chat("word", model="brief")  # its second expert is quick: in time
    assert late.status_code == 200
    assert time.monotonic() - began < 5


BAD = [
    (b"{", None, "not valid JSON"),
    (b"[]", None, "valid dictionary"),
    (b'{"model": "auto"}', "messages", "Field required"),
    (b'{"model": "auto", "messages": []}', "messages", "at least 1 item"),
    (b'{"model": "auto", "messages": "hi"}', "messages", "valid list"),
    (b'{"model": "auto", "messages": [{"role": "usr", "content": "x"}]}', "messages[0]", "'user'"),
    (b'{"model": "auto", "messages": [{"content": "x"}]}', "messages[0]", "role"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": 7}]}', "messages[0].content", "valid"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": [{"type": "txt"}]}]}', None, "txt"),
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


def test_client_that_leaves_stops_the_expert(service):
    slow = service.motet.fleet["slow"]
    body = json.dumps(
        {"model": "slow", "messages": [{"role": "user", "content": "x"}], "stream": True}
    )
    for left_mid_stream in (True, False):
        content = body if left_mid_stream else body.replace('"stream": true', '"stream": false')
        with socket.create_connection(service.url.removeprefix("http://").split(":")) as raw:
            raw.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%s" % (len(content), content.encode())
            )
            wait_for(lambda: slow.open == 1)
        wait_for(lambda: slow.open == 0)


def test_silence_is_filled():
    """Comments keep a silent stream open; clients skip them."""
    with running(FLEET, keep_alive_s=0.05) as service:
        wait_for(lambda: service.get("/ready").json()["experts"]["slow"]["state"] == "ready")
        _hear_silence(service)


def _hear_silence(service):
    body = {"model": "slow", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    with httpx.stream("POST", f"{service.url}/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")
        assert next(lines) == ""
        assert [next(lines) for _ in range(3)] == [": keep-alive", "", ": keep-alive"]
    wait_for(lambda: service.motet.fleet["slow"].open == 0)


def test_many_streams_at_once_stay_apart(service):
    import asyncio

    async def one(client, number):
        words = [f"{number}-{k}" for k in range(5)]
        body = {
            "model": "echo",
            "stream": True,
            "messages": [{"role": "user", "content": " ".join(words)}],
        }
        answer = await client.post("/v1/chat/completions", json=body)
        said = "".join(e["choices"][0]["delta"].get("content", "") for e in events(answer))
        return said == " ".join(words)

    async def all_of_them():
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=service.url, timeout=60, limits=limits) as client:
            return await asyncio.gather(*(one(client, number) for number in range(200)))

    assert all(asyncio.run(all_of_them()))
