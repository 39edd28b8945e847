"""A host that sends anything at all: never a fault of Motet's own, and always the next expert."""

import asyncio
import gzip
import json
import random
import time
from collections import Counter
from contextlib import asynccontextmanager

import httpx
import pytest
from tests.hosting import hosting

from motet.api import create_app
from motet.composer.assembly import assemble
from motet.config import parse
from motet.experts.build import build
from motet.experts.openai import OpenAIExpert
from motet.service.motet import Motet
from motet.transport.breaker import Breaker

TRIES, AT_ONCE, DEADLINE_S = 5000, 16, 20.0

CONFIG = """
version: 1
experts:
  - {{id: far, engine: openai, url: 'http://127.0.0.1:{port}/v1', model: m, retries: 0,
     read_timeout_s: 0.5, connect_timeout_s: 5, max_answer_bytes: 1MiB}}
  - {{id: spare, engine: fake, tokens: [spare]}}
routers: {{two: {{kind: constant, expert: far, fallbacks: [spare]}}}}
service: {{health_interval_s: 3600}}
compositions: {{both: {{router: two, limits: {{deadline_s: {deadline}}}}}}}
"""
GOOD = {
    "id": "x", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}  # fmt: skip
EVENTS = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
    {"choices": [{"index": 0, "delta": {"content": "fi"}}]},
    {"choices": [{"index": 0, "delta": {"content": "ne"}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
]
ODD = [None, True, 0, -1, 2**70, 1e308, float("inf"), float("nan"), "", "x", "\ud83d", "7", [], [None], [[]], {}, {"a": 1}, [1, "x"]]  # fmt: skip
FIELDS = ["id", "choices", "message", "delta", "content", "tool_calls", "usage", "index", "error", "refusal", "logprobs", "finish_reason", "reasoning", "audio", "function_call", "object", "detail"]  # fmt: skip


class Host:
    """One answer a request, each mutated in its status, headers, framing, timing and body."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.asked = 0

    def value(self, value):
        """Return `value` with a few odd things in places of its own."""
        choose = self.random
        if choose.random() < 0.015:
            return choose.choice(ODD)
        if isinstance(value, dict):
            changed = {
                (choose.choice(FIELDS) if choose.random() < 0.01 else key): self.value(item)
                for key, item in value.items()
                if choose.random() > 0.02
            }
            if choose.random() < 0.05:
                changed[choose.choice(FIELDS)] = choose.choice(ODD)
            return changed
        if isinstance(value, list):
            return [self.value(item) for item in value for _ in range(1 + (choose.random() < 0.04))]
        return value

    def json(self, value):
        written = json.dumps(self.value(value)).encode()
        if self.random.random() < 0.05:
            place = self.random.randrange(len(written) + 1)
            cut = self.random.choice(
                [b"", b"\x00", b"\xff\xfe", b"\\ud83d", b"[" * 500, b"\n", b'"']
            )
            written = written[:place] + cut + written[place + self.random.choice((0, 1)) :]
        return written

    def body(self, stream):
        choose = self.random
        if stream == (choose.random() < 0.1):
            return self.json(GOOD)
        end = choose.choice([b"\n\n", b"\r\n\r\n", b"\r\r", b"\n"])
        events = [self.value(event) for event in EVENTS if choose.random() > 0.1]
        lines = [choose.choice([b"data: ", b"data:"]) + self.json(event) for event in events]
        lines += [
            choose.choice([b": ping", b"event: error", b"id: 7", b"data:", b"retry: x"])
            for _ in range(choose.choice((0, 0, 1)))
        ]
        choose.shuffle(lines) if choose.random() < 0.1 else None
        lines += [b"data: [DONE]"] if choose.random() > 0.3 else []
        return choose.choice([b"", b"", b"\xef\xbb\xbf"]) + end.join([*lines, b""])

    def head(self, body):
        choose = self.random
        status = choose.choice(
            [200] * 40 + [100, 201, 204, 302, 400, 401, 404, 422, 429, 500, 503, 529, 999]
        )
        kind = choose.choice(
            ["application/json", "text/event-stream", "text/html", "", "x/y; charset=utf-7"]
        )
        headers = {"content-type": kind, "connection": choose.choice(["close", "keep-alive"])}
        if choose.random() < 0.7:
            length = len(body) + choose.choice((0,) * 20 + (-1, 1, 5000))
            headers["content-length"] = str(choose.choice([length] * 30 + [-5, "x", 10**12]))
        if choose.random() < 0.05:
            headers["content-encoding"] = choose.choice(["gzip", "deflate", "br", "zstd", "?"])
        if choose.random() < 0.05:
            headers["retry-after"] = choose.choice(
                ["7", "soon", "inf", "-1", "Wed, 21 Oct 2026 07:28:00 GMT"]
            )
        if choose.random() < 0.02:
            headers["x"] = "a" * 100_000
        if choose.random() < 0.05:
            headers["transfer-encoding"] = choose.choice(["chunked", "chunked", "gzip", "?"])
        version = choose.choice(["HTTP/1.1"] * 30 + ["HTTP/1.0", "HTTP/9", "ICY"])
        lines = [f"{version} {status} X", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    async def serve(self, reader, writer):
        choose = self.random
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line[15:])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        asked = await reader.readexactly(length)
        self.asked += head.startswith(b"POST")
        body = self.body(b'"stream":true' in asked)
        if choose.random() < 0.04:
            body = gzip.compress(body)
        content = self.head(body) + body
        if choose.random() < 0.06:  # cut, garbled, or none of HTTP
            content = choose.choice(
                [
                    content[: choose.randrange(len(content))],
                    b"\x15\x03\x01",
                    b"",
                    bytes(choose.randbytes(40)),
                ]
            )
        if choose.random() < 0.01:
            content += b" " * 2**21
        step = choose.choice([7, 60, 10**9]) if len(content) < 9000 else 2**16
        for start in range(0, len(content), step):
            if writer.is_closing():
                break
            writer.write(content[start : start + step])
            if step < len(content) and choose.random() < 0.3:
                await asyncio.sleep(0)
        await writer.drain()
        if choose.random() < 0.02:
            await asyncio.sleep(1)  # silence, with the connection open
        if choose.random() < 0.1:
            writer.transport.abort()


@asynccontextmanager
async def motet_before(host):
    def make(entry, options, setting):
        if entry.id != "far":
            return build(entry, setting, options)
        never = Breaker(10**9)
        return OpenAIExpert(entry, options, setting, breaker=never, host_breaker=never)

    async with hosting(host.serve) as port:
        motet = Motet(assemble(parse(CONFIG.format(port=port, deadline=DEADLINE_S)), make))
        app = create_app(motet)
        async with app.router.lifespan_context(app):
            await motet.fleet.ready("far")
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1"
            ) as client:
                yield client


def verdict(response, stream):
    """Return how an answer ended; a fault of Motet's fails here."""
    assert response.status_code == 200, response.text
    if not stream:
        (choice, *_) = response.json()["choices"]
        return "spare" if choice["message"]["content"] == "spare" else "far"
    data = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    events = [json.loads(each) for each in data[:-1]]
    errors = [event["error"] for event in events if "error" in event]
    assert len(errors) <= 1 and all(error["type"] != "server_error" for error in errors), errors
    said = [c for event in events for c in event.get("choices", [])]
    assert said, "an error before any piece has its own status"
    text = "".join(choice["delta"].get("content") or "" for choice in said)
    return "cut" if errors else "spare" if text == "spare" else "far"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1])
async def test_whatever_a_host_sends_somebody_answers(seed):
    host, places, ends, longest = Host(seed), asyncio.Semaphore(AT_ONCE), Counter(), 0.0

    async def ask(client, number):
        nonlocal longest
        stream = bool(number % 2)
        body = {"model": "both", "stream": stream, "messages": [{"role": "user", "content": "x"}]}
        async with places:
            began = time.monotonic()
            response = await client.post("/v1/chat/completions", json=body)
            longest = max(longest, time.monotonic() - began)
        ends[verdict(response, stream)] += 1

    async with motet_before(host) as client:
        await asyncio.gather(*(ask(client, number) for number in range(TRIES)))
    assert host.asked > TRIES * 0.85  # not passed over, but where a kept connection was gone
    assert longest < DEADLINE_S
    assert min(ends["far"], ends["spare"], ends["cut"]) > TRIES * 0.02, ends
