"""An expert behind any OpenAI-compatible URL."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, SecretStr

from motet.config import ExpertEntry, Options
from motet.errors import ExpertError, ExpertTimeout, ExpertUnavailable, MotetError
from motet.experts.base import Expert
from motet.experts.wire import DONE, body_of, chunks_of, error_in, error_of, event_data
from motet.types import READY, Capability, Chunk, Health, Request, State
from motet.weights import Setting

_BACKOFF_S = 0.2
_LONGEST_BACKOFF_S = 5.0
_RETRIED = frozenset({429, 500, 502, 503, 504})


class OpenAIConfig(Options):
    """Options of `engine: openai`."""

    url: str = Field(pattern=r"^https?://[^\s]+$")
    """Base URL, such as `https://host/v1`; `/chat/completions` is added to it."""
    model: str
    """The model's name there."""
    api_key: SecretStr | None = None
    """Bearer token; write `${ENV}`, never the key itself."""
    connect_timeout_s: PositiveFloat = 5.0
    """Seconds to open a connection."""
    read_timeout_s: PositiveFloat = 60.0
    """Longest silence between two pieces of an answer, in seconds."""
    retries: NonNegativeInt = Field(default=2, le=10)
    """Repeats after a failure before the first byte, with jittered exponential back-off."""
    connections: PositiveInt = 512
    """Connections kept to that host at most."""


class OpenAIExpert(Expert):
    """Forwards requests over HTTP and translates answers and errors.

    The transport is called directly: what `httpx.AsyncClient` adds (cookies, redirects,
    authentication flows) is not wanted here and would cost more than the rest of the way.
    """

    Config = OpenAIConfig
    options: OpenAIConfig
    capabilities = frozenset(Capability)

    def __init__(self, entry: ExpertEntry, options: OpenAIConfig, setting: Setting) -> None:
        super().__init__(entry, options, setting)
        base = options.url.rstrip("/")
        self._urls = {
            path: httpx.URL(f"{base}{path}")
            for path in ("/chat/completions", "/completions", "/models")
        }
        url = self._urls["/models"]
        self._headers = [
            (b"host", url.netloc),
            (b"content-type", b"application/json"),
            (b"accept-encoding", b"identity"),  # else aiohttp offers gzip, which nobody unpacks
        ]
        if options.api_key:
            bearer = f"Bearer {options.api_key.get_secret_value()}"
            self._headers.append((b"authorization", bearer.encode()))
        self._timeout = {
            "connect": options.connect_timeout_s,
            "read": options.read_timeout_s,
            "write": options.read_timeout_s,
            "pool": options.connect_timeout_s,
        }
        self._transport: httpx.AsyncBaseTransport | None = None
        self._reached = 0.0  # monotonic time of the last proof that the host answers

    async def start(self) -> None:
        """Open the connection pool; connections are made when needed."""
        self._transport = _transport(self.options.connections)

    async def close(self) -> None:
        """Close every connection."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def health(self) -> Health:
        """Ask for the host's models, unless an answer proved it well in the last ten seconds."""
        if time.monotonic() - self._reached < 10:
            return READY
        try:
            async with self._send("GET", "/models", b"", self.options.connect_timeout_s) as answer:
                status = answer.status_code
        except ExpertError as error:
            return Health(State.DOWN, error.message)
        if status in (401, 403):
            return Health(State.DOWN, f"{self.options.url} refuses the api_key ({status})")
        if status >= 500:
            return Health(State.DOWN, f"{self.options.url} answers {status}")
        self._reached = time.monotonic()
        return READY

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer `request` from the remote host; see `Expert.stream`."""
        path = "/completions" if request.prompt is not None else "/chat/completions"
        content = orjson.dumps(body_of(request, self.options.model))
        for attempt in range(self.options.retries + 1):
            last = attempt == self.options.retries
            try:
                async with self._send("POST", path, content) as answer:
                    if answer.status_code < 400:
                        self._reached = time.monotonic()
                        async for chunk in self._read(answer, request.stream):
                            yield chunk
                        return
                    wait = answer.headers.get("retry-after")
                    error = error_of(self.card.id, answer.status_code, await answer.aread(), wait)
                    if last or answer.status_code not in _RETRIED:
                        raise error
            except ExpertUnavailable as unreachable:
                self._reached = 0.0
                if last:
                    raise
                error = unreachable
            await asyncio.sleep(_backoff(attempt, error))

    async def _read(self, answer: httpx.Response, stream: bool) -> AsyncGenerator[Chunk, None]:
        """Yield the chunks of a good answer; a break in the middle is never retried."""
        try:
            if not stream:
                for chunk in chunks_of(_json(await answer.aread(), self.card.id)):
                    yield chunk
                return
            buffer, done = bytearray(), False
            async for piece in answer.aiter_raw():
                buffer += piece
                for data in event_data(buffer):
                    if data == DONE:
                        done = True
                        continue
                    payload = _json(data, self.card.id)
                    if error := error_in(payload, self.card.id):
                        raise error
                    for chunk in chunks_of(payload):
                        yield chunk
            if not done:
                raise ExpertError(self.card.id, "the stream ended before it was complete.")
        except httpx.TimeoutException:
            raise ExpertTimeout(
                self.card.id, f"silent for {self.options.read_timeout_s:g} s."
            ) from None
        except httpx.TransportError as error:
            raise ExpertError(self.card.id, f"the connection broke: {error!r}.") from error

    @asynccontextmanager
    async def _send(
        self, method: str, path: str, content: bytes, read_timeout_s: float | None = None
    ) -> AsyncIterator[httpx.Response]:
        if self._transport is None:
            raise ExpertUnavailable(self.card.id, "is not started.")
        timeout = {**self._timeout, "read": read_timeout_s or self._timeout["read"]}
        request = httpx.Request(
            method,
            self._urls[path],
            headers=[*self._headers, (b"content-length", b"%d" % len(content))],
            content=content,
            extensions={"timeout": timeout},
        )
        try:
            answer = await self._transport.handle_async_request(request)
        except httpx.ReadTimeout:
            raise ExpertTimeout(self.card.id, f"silent for {timeout['read']:g} s.") from None
        except httpx.TransportError as error:
            raise ExpertUnavailable(
                self.card.id,
                f"{self.options.url} cannot be reached ({type(error).__name__}).",
                retry_after=5.0,
            ) from error
        answer.request = request
        try:
            yield answer
        finally:
            await answer.aclose()


def _transport(connections: int) -> httpx.AsyncBaseTransport:
    # aiohttp's parser and pool under httpx's interface: about a third of the time per request of
    # httpx's own transport at one connection, a seventh at sixteen (benchmarks/overhead.py).
    import aiohttp
    from httpx_aiohttp import AiohttpTransport

    transport: httpx.AsyncBaseTransport = AiohttpTransport(
        client=lambda: aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=30),
            auto_decompress=False,
        )
    )
    return transport


def _json(data: bytes, expert: str) -> dict[str, Any]:
    try:
        payload = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ExpertError(expert, f"sent something that is not JSON: {data[:80]!r}.") from error
    if not isinstance(payload, dict):
        raise ExpertError(expert, f"sent {type(payload).__name__} where an object belongs.")
    return payload


def _backoff(attempt: int, error: MotetError) -> float:
    """Return seconds to wait: full jitter over a doubling bound, never under `Retry-After`."""
    bound = min(_LONGEST_BACKOFF_S, _BACKOFF_S * 2**attempt)
    asked = min(_LONGEST_BACKOFF_S, error.retry_after or 0.0)
    return max(asked, random.uniform(0, bound))
