"""One answer over HTTP: its headers, its end in every case, and a client that leaves."""

import json
import socket
import time

import httpx
import pytest
from tests.api.events import events
from tests.conftest import FLEET, running, wait_for


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


def test_mid_stream_failure_is_told_in_band(service):
    found = events(service.chat("x", model="breaks", stream=True))
    assert [e["choices"][0]["delta"]["content"] for e in found[:-1]] == ["a", "b"]
    assert found[-1]["error"]["code"] == "expert_failed"


def test_mid_answer_failure_unstreamed(service):
    answer = service.chat("x", model="breaks")
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "expert_failed"


def test_deadline(service):
    answer = service.chat("x", model="slow", stream=True, max_tokens=1)
    assert answer.status_code == 200
    began = time.monotonic()
    late = service.chat("word", model="brief")  # its second expert is quick: in time
    assert late.status_code == 200
    assert time.monotonic() - began < 5


def test_client_that_leaves_stops_the_expert(service):
    slow = service.motet.fleet["slow"]
    body = json.dumps(
        {"model": "slow", "messages": [{"role": "user", "content": "x"}], "stream": True}
    )
    for left_mid_stream in (True, False):
        content = body if left_mid_stream else body.replace('"stream": true', '"stream": false')
        with socket.create_connection(service.url.removeprefix("http://").split(":")) as raw:
            raw.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
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
