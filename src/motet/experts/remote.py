"""An expert behind a URL: whatever it speaks, how it is asked, read, retried and given up."""

from __future__ import annotations

import asyncio
import math
import time
from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import orjson

from motet.clock import Timeout
from motet.config import ExpertEntry
from motet.errors import (
    ConfigError,
    ContextLengthExceeded,
    ExpertError,
    ExpertOverloaded,
    ExpertRejected,
    ExpertTimeout,
    ExpertUnavailable,
    MotetError,
    RequestError,
    SourceError,
)
from motet.experts.base import Expert
from motet.experts.remote_config import FILES, RemoteConfig
from motet.experts.wire.base import Wire
from motet.experts.wire.dialect import Dialect
from motet.experts.wire.events import Events
from motet.experts.wire.failure import failure_of, retry_after
from motet.protocol.frames import DONE
from motet.transport.breaker import Breaker, breaker_of
from motet.transport.connections import Connections, Patience, Response
from motet.transport.faults import Crowded, Dropped, HostFault, Silent, TooMuch, Unreachable
from motet.transport.link import Connect, Link, connect
from motet.transport.retry import Retry
from motet.types import READY, Chunk, Health, Request, State
from motet.weights import Setting

_FRESH_S = 10.0
_RETRIED = frozenset({429, 500, 502, 503, 504, 529})
_MOST_LINE = 2**24
_MOST_ERROR = 2**16
_GRACE_S = 0.05
_BLANK = b"\xef\xbb\xbf \t\r\n"


class RemoteExpert(Expert):
    """Forwards requests over HTTP and translates answers and errors; what it speaks is its `wire`.

    Parameters
    ----------
    connect
        Opens its connections.
    retry
        When a failure before the first byte is tried once more; by the options when absent.
    breaker, host_breaker
        Keep it from being asked while this model, or its host, fails again and again. By default
        the second is the one that all experts of the host share.
    """

    Config = RemoteConfig
    options: RemoteConfig

    def __init__(
        self,
        entry: ExpertEntry,
        options: RemoteConfig,
        setting: Setting,
        *,
        connect: Connect = connect,
        retry: Retry | None = None,
        breaker: Breaker | None = None,
        host_breaker: Breaker | None = None,
    ) -> None:
        super().__init__(entry, options, setting)
        key = options.api_key.get_secret_value() if options.api_key else ""
        headers = {"content-type": "application/json", **self.wire.headers(key)}
        further = {name.lower(): each.get_secret_value() for name, each in options.headers.items()}
        headers |= further
        self._host = Connections(
            options.url,
            headers,
            Patience(options.connect_timeout_s, options.read_timeout_s),
            options.connections,
            most_bytes=int(options.max_answer_bytes),
            link=self._link(),
            connect=connect,
        )
        self._secrets = [value.encode() for value in (key, *further.values()) if value]
        self._dialect = Dialect(frozenset(options.omit))
        self._retry = retry or Retry(attempts=options.retries + 1)
        self._breaker = breaker or Breaker()  # of this model there
        # Of the host, whatever model is asked.
        self._host_breaker = host_breaker or breaker_of(self._host.origin)
        self._reached = -math.inf  # monotonic time of the last proof that the host answers
        self._lost = ""  # why the last request found nobody, until one is answered

    @property
    @abstractmethod
    def wire(self) -> Wire:
        """The protocol that the host speaks."""

    def _link(self) -> Link:
        options, folder = self.options, self.setting.folder
        ca, certificate, key = (
            None if path is None else folder / path
            for path in (options.ca_file, options.client_certificate, options.client_key)
        )
        return Link(ca, certificate, key)

    def verify(self, experts: Mapping[str, ExpertEntry]) -> None:
        """Refuse certificates that cannot be read."""
        for name in FILES:
            path = getattr(self.options, name)
            if path is not None and not (self.setting.folder / path).is_file():
                raise ConfigError(f"there is no file {self.setting.folder / path}.", at=(name,))

    @property
    def waiting(self) -> int:
        """Requests that wait for one of its connections; see `Expert.waiting`."""
        return self._host.waiting

    async def start(self) -> None:
        """Open the connection pool; connections are made when needed."""
        try:
            self._host.open()
        except OSError as error:  # what TLS says of a file is one too
            raise SourceError(
                f"The certificates of {self.card.id!r} cannot be read: {error}.",
                hint="Check ca_file, client_certificate and client_key.",
            ) from error

    async def close(self) -> None:
        """Close every connection."""
        await self._host.close()

    async def health(self) -> Health:
        """Say what is known: only chat tells whether chat works, so much is given in its favour.

        An answer of the last ten seconds, or one on its way, is proof enough. Else the host is
        asked for its models, and whatever it says to that, it is there.
        """
        if rest_s := self._breaker.left_s:
            return Health(State.DOWN, f"rests for {rest_s:.0f} s, after failing again and again")
        if time.monotonic() - self._reached < _FRESH_S or self._host.at_work:
            return READY
        try:
            reply = await self._host.look("/models", self.options.connect_timeout_s)
        except Unreachable as fault:
            self._host_breaker.failed()
            return Health(State.DOWN, f"{self._host.shown} cannot be reached ({fault})")
        except HostFault as fault:
            if self._lost:
                return Health(State.DOWN, self._lost)
            return Health(State.READY, f"{self._host.shown}/models does not answer ({fault})")
        reply.close()
        self._found()
        if reply.status >= 400:
            return Health(State.READY, f"{self._host.shown}/models answers {reply.status}")
        return READY

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer `request` from the remote host; see `Expert.stream`.

        While nothing was said, a failure that may heal is followed by another try.
        """
        self._refuse_while_resting()
        attempt = 0
        while True:
            attempt += 1
            try:
                reply = await self._asked(request)
                try:
                    async for chunk in self._read(reply):
                        # At the first word already: others rest until this one has answered.
                        self._breaker.succeeded()
                        yield chunk
                finally:
                    reply.close()
                return
            except _Passing as passing:
                error = passing.error
                wait_s = self._retry.wait_s(attempt, passing.asked_s)
            except MotetError as failure:
                self._judge(failure)
                raise
            if wait_s is None:
                self._judge(error)
                raise error
            # A connection that the host had closed says nothing of the host: no wait.
            await asyncio.sleep(0 if isinstance(error.__cause__, Dropped) else wait_s)

    def _refuse_while_resting(self) -> None:
        breakers = (self._host_breaker, self._breaker)
        # Looked at first: who may try must not be told so by one where the other says no.
        rest_s = max(breaker.left_s for breaker in breakers)
        rest_s = rest_s or max(breaker.rest_s() for breaker in breakers)
        if rest_s:
            raise ExpertUnavailable(
                self.card.id,
                "has failed several times in a row, and is not asked for a moment.",
                retry_after=rest_s,
            )

    async def _asked(self, request: Request) -> Response:
        """Return a good answer, whose body is still to be read; asks in other words if need be.

        Raises
        ------
        _Passing, MotetError
            There is no answer; the first may be followed by another try.
        """
        if not self._host.is_open:
            raise ExpertUnavailable(self.card.id, "is not started.")
        path = self.wire.path(request)
        body = self._dialect.said(self.wire.body(request, self.options.model))
        headers = None if request.trace is None else request.trace.headers
        for _ in range(3):
            reply = await self._send(path, _written(body), headers)
            if reply.status < 300:
                return reply
            try:
                refusal = await self._body_of_error(reply)
            finally:
                reply.close()
            other = self._dialect.after(reply.status, refusal, body)
            if other is None:
                break
            body = other
        error = failure_of(self.card.id, reply.status, refusal, reply.headers)
        if reply.status in _RETRIED:
            raise _Passing(error, retry_after(reply.headers))
        raise error

    async def _send(self, path: str, content: bytes, headers: Mapping[str, str] | None) -> Response:
        try:
            reply = await self._host.send(path, content, headers)
        except Crowded as fault:
            raise ExpertOverloaded(self.card.id, f"{fault}.", retry_after=1.0) from fault
        except Silent as fault:
            self._lost = f"silent for {self.options.read_timeout_s:g} s"
            raise ExpertTimeout(self.card.id, f"{self._lost}.") from fault
        except HostFault as fault:
            self._reached = -math.inf
            self._lost = f"{self._host.shown} cannot be reached ({fault})"
            if isinstance(fault, Unreachable):
                self._host_breaker.failed()
            error = ExpertUnavailable(self.card.id, f"{self._lost}.")
            error.__cause__ = fault
            if isinstance(fault, Unreachable) and fault.waited:
                raise error from fault  # another try would take as long once more
            raise _Passing(error) from fault
        self._found()
        return reply

    def _found(self) -> None:
        """Note that the host is there."""
        self._reached, self._lost = time.monotonic(), ""
        self._host_breaker.succeeded()

    async def _body_of_error(self, reply: Response) -> bytes:
        """Return what a host says of its failure, as far as that comes: it has failed anyhow."""
        body = bytearray()
        try:
            async with Timeout(self.options.connect_timeout_s):
                async for piece in reply.pieces():
                    body += piece
                    if len(body) > _MOST_ERROR:
                        break
        except (HostFault, TimeoutError):
            pass
        for secret in self._secrets:
            body = body.replace(secret, b"***")
        return bytes(body[:_MOST_ERROR])

    def _judge(self, error: MotetError) -> None:
        """Tell the breaker how a request has ended: being busy, or refusing it, is no failure."""
        passed = (ExpertOverloaded, ExpertRejected, ContextLengthExceeded, RequestError)
        if isinstance(error, passed):
            self._breaker.succeeded()
        else:
            self._breaker.failed()

    async def _read(self, reply: Response) -> AsyncGenerator[Chunk, None]:
        """Yield the chunks of a good answer; a break in the middle is never retried.

        It is read as what it is, events or one body, whatever was asked for and whatever it says
        of itself.
        """
        reader, events, pieces = self.wire.reader(self.card.id), Events(), reply.pieces()
        body: bytearray | None = bytearray()  # what has come, until it shows what it is
        try:
            async for piece in pieces:
                if body is not None:
                    body += piece if body else piece.lstrip(_BLANK)
                    if not body or body[:1] in b"{[":
                        continue
                    piece, body = bytes(body), None
                for data in events.feed(piece):
                    if data == DONE:
                        await _drained(pieces)
                        return
                    for chunk in reader.read_json(data):
                        yield chunk
                if events.pending > _MOST_LINE:
                    raise TooMuch(f"a line of more than {_MOST_LINE} bytes")
        except Silent:
            raise ExpertTimeout(
                self.card.id, f"silent for {self.options.read_timeout_s:g} s."
            ) from None
        except HostFault as fault:
            if body is not None or not reader.complete:  # else only its end mark is lost
                raise ExpertError(self.card.id, f"the answer broke off ({fault}).") from fault
        for data in events.end() if body is None else (bytes(body),):
            if data != DONE:
                for chunk in reader.read_json(data):
                    yield chunk
        if body is None and not reader.complete:
            raise ExpertError(self.card.id, "the stream ended before it was complete.")


async def _drained(pieces: AsyncGenerator[bytes, None]) -> None:
    """Read what follows the end mark for a moment, so that the connection can be kept."""
    try:
        async with Timeout(_GRACE_S):
            async for _ in pieces:
                pass
    except (HostFault, TimeoutError):
        pass


def _written(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError as error:  # Python users can send what no body over HTTP could hold
        raise RequestError(f"The request cannot be written as JSON: {error}.") from None


class _Passing(Exception):  # it is no error yet: another try may follow
    """A failure before the first byte that may have passed when asked again."""

    def __init__(self, error: MotetError, asked_s: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.asked_s = asked_s
