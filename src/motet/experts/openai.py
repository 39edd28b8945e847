"""An expert behind any OpenAI-compatible URL."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, SecretStr

from motet.config import ExpertEntry, Options, Url
from motet.errors import (
    ContextLengthExceeded,
    ExpertError,
    ExpertOverloaded,
    ExpertRejected,
    ExpertTimeout,
    ExpertUnavailable,
    MotetError,
)
from motet.experts.base import Expert
from motet.experts.wire import body_of, chunks_of, error_in, error_of, event_data
from motet.protocol.frames import DONE
from motet.transport.breaker import Breaker
from motet.transport.connections import Connect, Connections, Patience, connect
from motet.transport.retry import Retry
from motet.types import READY, Capability, Chunk, Health, Request, State
from motet.weights import Setting

_FRESH_S = 10.0
_RETRIED = frozenset({429, 500, 502, 503, 504})


class OpenAIConfig(Options):
    """Options of `engine: openai`."""

    url: Url
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

    Parameters
    ----------
    connect
        Opens its connections.
    retry
        When a failure before the first byte is tried once more; by the options when absent.
    breaker
        Keeps it from being asked while it fails again and again.
    """

    Config = OpenAIConfig
    options: OpenAIConfig
    capabilities = frozenset(Capability)

    def __init__(
        self,
        entry: ExpertEntry,
        options: OpenAIConfig,
        setting: Setting,
        *,
        connect: Connect = connect,
        retry: Retry | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        super().__init__(entry, options, setting)
        headers = {b"content-type": b"application/json"}
        if options.api_key:
            headers[b"authorization"] = f"Bearer {options.api_key.get_secret_value()}".encode()
        patience = Patience(options.connect_timeout_s, options.read_timeout_s)
        self._host = Connections(options.url, headers, patience, options.connections, connect)
        self._retry = retry or Retry(attempts=options.retries + 1)
        self._breaker = breaker or Breaker()
        self._reached = -math.inf  # monotonic time of the last proof that the host answers

    async def start(self) -> None:
        """Open the connection pool; connections are made when needed."""
        self._host.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._host.close()

    async def health(self) -> Health:
        """Ask for the host's models, unless an answer proved it well in the last ten seconds."""
        if time.monotonic() - self._reached < _FRESH_S:
            return READY
        try:
            read_s = self.options.connect_timeout_s
            async with self._send("GET", "/models", read_s=read_s) as answer:
                status = answer.status_code
        except _Passing as passing:
            return Health(State.DOWN, passing.error.message)
        except ExpertError as error:
            return Health(State.DOWN, error.message)
        if status in (401, 403):
            return Health(State.DOWN, f"{self.options.url} refuses the api_key ({status})")
        if status >= 500:
            return Health(State.DOWN, f"{self.options.url} answers {status}")
        self._reached = time.monotonic()
        return READY

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer `request` from the remote host; see `Expert.stream`.

        While nothing was said, a failure that may heal is followed by another try.
        """
        if rest_s := self._breaker.rest_s():
            raise ExpertUnavailable(
                self.card.id,
                "has failed several times in a row, and is not asked for a moment.",
                retry_after=rest_s,
            )
        path = "/completions" if request.prompt is not None else "/chat/completions"
        content = orjson.dumps(body_of(request, self.options.model))
        for attempt in range(1, self._retry.attempts + 1):
            try:
                async with self._send("POST", path, content) as answer:
                    if answer.status_code >= 400:
                        raise await self._refusal(answer)
                    self._reached = time.monotonic()
                    async for chunk in self._read(answer, request.stream):
                        # At the first word already: others rest until this one has answered.
                        self._breaker.succeeded()
                        yield chunk
                return
            except _Passing as passing:
                error = passing.error
            except MotetError as failure:
                self._judge(failure)
                raise
            if attempt == self._retry.attempts:
                self._judge(error)
                raise error
            await asyncio.sleep(self._retry.wait_s(attempt, error.retry_after))

    async def _refusal(self, answer: httpx.Response) -> Exception:
        """Return what a bad status means; one that may pass is told apart from the others."""
        wait = answer.headers.get("retry-after")
        error = error_of(self.card.id, answer.status_code, await answer.aread(), wait)
        return _Passing(error) if answer.status_code in _RETRIED else error

    def _judge(self, error: MotetError) -> None:
        """Tell the breaker how a request has ended: being busy, or refusing it, is no failure."""
        if isinstance(error, ExpertOverloaded | ExpertRejected | ContextLengthExceeded):
            self._breaker.succeeded()
        else:
            self._breaker.failed()

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
        self, method: str, path: str, content: bytes = b"", *, read_s: float | None = None
    ) -> AsyncIterator[httpx.Response]:
        if not self._host.is_open:
            raise ExpertUnavailable(self.card.id, "is not started.")
        try:
            answer = await self._host.send(method, path, content, read_s=read_s)
        except httpx.ReadTimeout:
            seconds = read_s or self.options.read_timeout_s
            raise ExpertTimeout(self.card.id, f"silent for {seconds:g} s.") from None
        except httpx.TransportError as error:
            self._reached = -math.inf
            unreachable = ExpertUnavailable(
                self.card.id,
                f"{self.options.url} cannot be reached ({type(error).__name__}).",
                retry_after=5.0,
            )
            unreachable.__cause__ = error
            raise _Passing(unreachable) from error
        try:
            yield answer
        finally:
            await answer.aclose()


class _Passing(Exception):  # it is no error yet: another try may follow
    """A failure before the first byte that may have passed when asked again."""

    def __init__(self, error: MotetError) -> None:
        super().__init__(str(error))
        self.error = error


def _json(data: bytes, expert: str) -> dict[str, Any]:
    try:
        payload = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ExpertError(expert, f"sent something that is not JSON: {data[:80]!r}.") from error
    if not isinstance(payload, dict):
        raise ExpertError(expert, f"sent {type(payload).__name__} where an object belongs.")
    return payload
