"""The HTTP server of one process: uvicorn, with bounds for clients that are slow, large or many."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from motet.api.answer import ABORT, OpenAnswers
from motet.config import Service

_MOST_HEAD = 64 * 1024
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\r\n"
_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n"
_MOST_HELD = 2**14
_TAKEN_AT_ONCE = 32
_GRACE_S = 10.0
_LAST_WORDS_S = 5.0
_IDLE_S = 5


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, whose requests must say what they want in so many bytes and seconds.

    uvicorn itself reads headers without end, and waits for them without end.
    """

    head_s = 30.0
    _head = 0  # bytes of headers so far; -1 where none are awaited
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        together = _Together(transport, self.loop)
        super().connection_made(together)  # type: ignore[arg-type]
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Read on, unless the headers are too large."""
        super().data_received(data)
        if self._head >= 0:
            self._head += len(data)
            if self._head > _MOST_HEAD:
                self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin to wait for the headers of a further request."""
        super().on_message_begin()
        if self._head < 0:
            self._await_head()

    def on_headers_complete(self) -> None:
        """Wait no longer, and let the app end the connection of a client that does not read."""
        self._head = -1
        self._stop_waiting()
        self.scope["extensions"] = {ABORT: {"call": self.transport.abort}}
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Give whoever was answered before all of the request was there some time for the rest.

        uvicorn waits for a request no longer once it is answered, and each byte of it ends the time
        in which it closes what idles: such a connection would be open for ever.
        """
        super().on_response_complete()
        if self.cycle.more_body and not self.pipeline:
            self._late = self.loop.call_later(self.head_s, self.transport.close)

    def on_message_complete(self) -> None:
        """Begin to wait for the next request, where this one was answered before its end."""
        super().on_message_complete()
        if self.cycle.response_complete:
            self._stop_waiting()
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()

    def _await_head(self) -> None:
        self._head = 0
        self._late = self.loop.call_later(self.head_s, self._refuse, _TOO_LATE)

    def _refuse(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()


class _Together:
    """A transport whose small writes of one turn of the event loop go out as one.

    The head of an answer and its body, and pieces of a stream that came together: each would be a
    system call of its own, and one for whoever reads.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send it at the end of this turn, or at once where that is much to hold."""
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)
        self._bytes += len(data)
        if self._bytes > _MOST_HELD:
            self._flush()

    def close(self) -> None:
        """Send what is held, and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        held, self._held, self._bytes = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))


class Server(uvicorn.Server):
    """A server that lets answers end when it stops, and tells those that take too long.

    Parameters
    ----------
    grace_s
        Seconds that answers have once it is told to stop.
    """

    def __init__(
        self, app: FastAPI, service: Service, *, port: int | None = None, grace_s: float = _GRACE_S
    ) -> None:
        protocol = type("_Bounded", (BoundedProtocol,), {"head_s": service.body_timeout_s})
        super().__init__(
            uvicorn.Config(
                app,
                host=service.host,
                port=service.port if port is None else port,
                http=protocol,
                log_config=None,  # as everybody else of this process
                log_level="error",
                proxy_headers=False,  # who asks is told by a key, and by nothing else
                timeout_keep_alive=_IDLE_S,
                limit_concurrency=service.ongoing_requests + service.queued_requests,
                timeout_graceful_shutdown=int(grace_s + _LAST_WORDS_S),
            )
        )
        logging.getLogger("uvicorn.error").addFilter(_says_more_than_that_it_stops)
        self._open: OpenAnswers = app.state.open_answers
        self._grace_s = grace_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, as many times as connections are to be taken in one turn of the event loop.

        uvloop takes one for each that listens: while a thousand requests are under way a turn is
        long, and who comes new would wait for seconds to be let in.
        """
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        for listening in [each for server in self.servers for each in server.sockets]:
            for _ in range(_TAKEN_AT_ONCE - 1):
                again = socket.socket(fileno=os.dup(listening.fileno()))
                backlog = self.config.backlog
                server = await loop.create_server(self._protocol, sock=again, backlog=backlog)
                self.servers.append(server)

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for the answers under way, and after the time of grace end them in words."""
        last = asyncio.get_running_loop().call_later(self._grace_s, self._open.stop)
        try:
            await super().shutdown(sockets)
        finally:
            last.cancel()


def _says_more_than_that_it_stops(record: logging.LogRecord) -> bool:
    """Drop what uvicorn says of its own ending: whoever stopped it knows."""
    cause: Any = record.exc_info[1] if record.exc_info else None
    return not (isinstance(cause, asyncio.CancelledError) or "graceful shutdown" in record.msg)
