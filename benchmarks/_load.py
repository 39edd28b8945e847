"""A closed-loop load generator: each connection asks again as soon as it has its whole answer.

Run as `python _load.py URL MODEL KEY CONNECTIONS SECONDS whole|stream[-PROTOCOL] [NAME=VALUE ...]`,
the last of them headers; PROTOCOL is one of `chat`, `responses` and `messages`. Prints one JSON
object.
Written on httptools and uvloop, so that it costs less than what it measures, and checks every
answer's words.
"""

from __future__ import annotations

import asyncio
import sys
import time
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlsplit

import httptools
import orjson
import uvloop

from _upstream import TEXT

_WARM_UP_S = 0.3
_SILENCE_S = 30.0
# About a kilobyte of chat, as a short question with a system prompt is.
_MESSAGES = [
    {"role": "system", "content": "You answer briefly and say so when you do not know. " * 12},
    {
        "role": "user",
        "content": "Where do swallows go in winter, and how do they find the way? " * 6,
    },
]


class Connection(asyncio.Protocol):
    """One connection and the answer it is reading."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._first = 0.0
        self._began = time.perf_counter()
        self._transport.write(self._run.request)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls the methods below."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the answer, and the time of the first."""
        if not self._body:
            self._first = time.perf_counter()
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Check the answer, note its times, and ask again."""
        now = time.perf_counter()
        status, content = self._parser.get_status_code(), b"".join(self._body)
        self._run.note(self._began, self._first, now, status, content)
        if now >= self._run.end:
            self._transport.close()
        elif self._parser.should_keep_alive():
            self._ask()
        else:
            self._run.fail(b"the server closed a connection that was to be kept")

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the run; before its end that is an error."""
        if time.perf_counter() < self._run.end:
            self._run.fail(f"connection lost: {exc!r}".encode())
        self._run.left()


class Run:
    """One measurement."""

    def __init__(self, request: bytes, connections: int, seconds: float, form: str) -> None:
        self.request = request
        self._words = _WORDS[form]
        self._connections = connections
        self._start = time.perf_counter() + _WARM_UP_S
        self.end = self._start + seconds
        self._times: list[tuple[float, float]] = []
        self.errors: list[str] = []
        self.done = asyncio.Event()

    def note(self, began: float, first: float, now: float, status: int, content: bytes) -> None:
        """Check one answer, and count it unless it belongs to the warm-up."""
        try:
            good = status == 200 and self._words(content) == TEXT
        except (ValueError, KeyError, IndexError, TypeError):
            good = False
        if not good:
            self.fail(b"%d %b" % (status, content[:300]))
        elif self._start <= now <= self.end:
            self._times.append((now - began, first - began))

    def fail(self, why: bytes) -> None:
        """Note an error; any of them makes the whole run worthless, so it ends."""
        self.errors.append(why.decode(errors="replace"))
        self.done.set()

    def left(self) -> None:
        """Count a connection that has ended."""
        self._connections -= 1
        if not self._connections:
            self.done.set()

    def report(self, seconds: float) -> dict[str, Any]:
        """Return requests per second and times in milliseconds."""
        if self.errors or len(self._times) < 2:
            return {"errors": self.errors[:3] or ["no answer in time"]}
        whole = [1000 * took for took, _ in self._times]
        return {
            "rps": len(whole) / seconds,
            "p50_ms": median(whole),
            "p99_ms": quantiles(whole, n=100)[98],
            "first_ms": median(1000 * first for _, first in self._times),
            "errors": [],
        }


def _words_of_body(content: bytes) -> str:
    return str(orjson.loads(content)["choices"][0]["message"]["content"])


def _words_of_stream(content: bytes) -> str:
    *events, done = (line[6:] for line in content.split(b"\n") if line.startswith(b"data: "))
    if done != b"[DONE]":
        raise ValueError("the stream has no end")
    choices = [choice for event in events for choice in orjson.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def _words_of_response(content: bytes) -> str:
    return str(orjson.loads(content)["output"][0]["content"][0]["text"])


def _words_of_message(content: bytes) -> str:
    return str(orjson.loads(content)["content"][0]["text"])


def _words_of_events(content: bytes) -> str:
    """Return the words of a stream of Responses or Messages."""
    lines = (line[6:] for line in content.split(b"\n") if line.startswith(b"data: {"))
    events = [orjson.loads(line) for line in lines]
    if events[-1]["type"] not in ("response.completed", "message_stop"):
        raise ValueError("the stream has no end")
    deltas = (event["delta"] for event in events if event["type"] in _DELTAS)
    return "".join(delta if isinstance(delta, str) else delta["text"] for delta in deltas)


_DELTAS = ("response.output_text.delta", "content_block_delta")
_WORDS = {
    "whole": _words_of_body,
    "stream": _words_of_stream,
    "whole-responses": _words_of_response,
    "stream-responses": _words_of_events,
    "whole-messages": _words_of_message,
    "stream-messages": _words_of_events,
}
"""How each form's words are read."""


def _asked(form: str) -> tuple[str, dict[str, Any]]:
    """Return the endpoint of a form, and what its body says beside the model."""
    stream, (system, user) = form.startswith("stream"), _MESSAGES
    if form.endswith("-responses"):
        said = {"instructions": system["content"], "input": user["content"], "store": False}
        return "responses", {**said, "stream": stream}
    if form.endswith("-messages"):
        said = {"system": system["content"], "messages": [user], "max_tokens": 256}
        return "messages", {**said, "stream": stream}
    return "chat/completions", {"messages": _MESSAGES, "stream": stream}


def _request(url: str, model: str, key: str, form: str, headers: list[str]) -> bytes:
    path, said = _asked(form)
    body = orjson.dumps({"model": model, **said})
    to = urlsplit(url)
    more = "".join(f"{header.replace('=', ': ', 1)}\r\n" for header in headers)
    head = (
        f"POST {to.path}/{path} HTTP/1.1\r\nhost: {to.netloc}\r\n"
        f"authorization: Bearer {key}\r\ncontent-type: application/json\r\n"
        f"{more}content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def main(url: str, request: bytes, connections: int, seconds: float, form: str) -> None:
    """Load the host of `url` and print the report."""
    run = Run(request, connections, seconds, form)
    to = urlsplit(url)
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Connection(run), to.hostname, to.port)
    try:
        await asyncio.wait_for(run.done.wait(), seconds + _SILENCE_S)
    except TimeoutError:
        run.fail(b"an answer did not come")
    print(orjson.dumps(run.report(seconds)).decode())


if __name__ == "__main__":
    url, model, key, connections, seconds, form, *headers = sys.argv[1:]
    request = _request(url, model, key, form, headers)
    uvloop.run(main(url, request, int(connections), float(seconds), form))
