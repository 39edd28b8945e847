"""HTTP/1.1 to one host, straight over sockets: the way that every expert call at a URL takes.

A general client takes three times as long for a request, which was a quarter of an answer's way
through Motet (benchmarks/overhead.py). This one knows what expert calls need and no more: no
redirects, no cookies, no proxies (`link.py` has another client for those). httptools, which is
llhttp, reads the framing.
"""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import aiohappyeyeballs
import httptools
from multidict import CIMultiDict

from motet.clock import Alarm, Timeout
from motet.transport.faults import Dropped, HostFault, Unreachable

_MOST_HEAD = 2**16
_MOST_WAITING = 2**18
_ONE_PIECE = 2**16
"""Bytes up to which a body is sent with its head: copying them is less than a system call."""
_IDLE_S = 30.0
_SAME_PLACE_S = 10.0
_HAPPY_EYEBALLS_S = 0.25
"""Seconds after which the next address of a host is tried beside one that is slow (RFC 8305)."""
_NO_BODY = frozenset({204, 304})
Places = list[Any]
"""Addresses of a host, as the system gives them."""


class Http1:
    """Connections to one host, kept while they are used again within half a minute.

    Parameters
    ----------
    origin
        The host: a URL whose path does not matter.
    tls
        How TLS is spoken, where the URL asks for it.
    connect_s
        Seconds that connecting may take.
    """

    def __init__(self, origin: str, tls: ssl.SSLContext, connect_s: float) -> None:
        to = urlsplit(origin)
        self._tls = tls if to.scheme == "https" else None
        self._host = to.hostname or ""
        self._port = to.port or (443 if self._tls else 80)
        self._connect_s = connect_s
        self._targets: dict[str, str] = {}
        self._idle: deque[Connection] = deque()
        self._wanted: deque[asyncio.Future[Connection]] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self._open: set[Connection] = set()
        self._places: asyncio.Future[Places] | None = None
        self._placed = -math.inf  # when the host's addresses were asked for
        self._sweep: Alarm | None = None
        self._is_closed = False

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes
    ) -> Connection:
        """Send a request, and return the connection once the head of its answer has come.

        Raises
        ------
        HostFault
            Of the kind that says what had happened.
        """
        target = self._targets.get(url)
        if target is None:
            parts = urlsplit(url)
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            self._targets[url] = target = target or "/"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"{method} {target} HTTP/1.1\r\n{lines}content-length: {len(content)}\r\n\r\n"
        connection = await self._free()
        try:
            await connection.ask(head.encode(), content)
        except Dropped:
            if connection.answers == 0 and connection.was_asked:
                raise
            # The host had closed it while it idled, as hosts do: this is no try.
            connection = await self._connected()
            await connection.ask(head.encode(), content)
        return connection

    async def close(self) -> None:
        """Close every connection."""
        if self._sweep is not None:
            self._sweep.cancel()
        self._is_closed = True
        for task in self._connecting:
            task.cancel()
        for waiting in self._wanted:
            if not waiting.done():
                waiting.set_exception(Unreachable("the connections to it are closed"))
        self._wanted.clear()
        for connection in tuple(self._open):
            connection.end()

    def keep(self, connection: Connection) -> None:
        """Take a connection that is free: for whoever has waited longest, or for later."""
        if self._is_closed:
            connection.end()
            return
        while self._wanted:
            waiting = self._wanted.popleft()
            if not waiting.done():
                waiting.set_result(connection)
                return
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = Alarm(_IDLE_S, self._swept)

    def lost(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    async def _free(self) -> Connection:
        """Return a connection, to whoever asks in the order in which they came.

        Where none is free a new one is made; if one is given back before that, it is taken, and the
        new one is for the next. Else those whose connection is still to be made would be overtaken
        again and again.
        """
        if self._idle:
            return self._idle.pop()  # the one that was used last
        waiting: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._wanted.append(waiting)
        task = asyncio.create_task(self._make(waiting))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and not waiting.exception():
                self.keep(waiting.result())  # it came as the wait was ended
            raise

    async def _make(self, waiting: asyncio.Future[Connection]) -> None:
        """Make a connection; where that fails, whoever it was made for is told.

        If that one has another's meanwhile, its own was to be for the next, who is told instead:
        never do more wait than connections are being made.
        """
        try:
            connection = await self._connected()
        except HostFault as fault:
            self._wanted = deque(each for each in self._wanted if not each.done())
            if len(self._wanted) > len(self._connecting) - 1:  # this one is among these
                told = waiting if waiting in self._wanted else self._wanted[0]
                self._wanted.remove(told)
                told.set_exception(fault)
        else:
            self.keep(connection)

    def _swept(self) -> None:
        """Close what has idled for too long."""
        now, self._sweep = time.monotonic(), None
        while self._idle and now - self._idle[0].rested_since >= _IDLE_S:
            self._idle.popleft().end()
        if self._idle:
            self._sweep = Alarm(_IDLE_S, self._swept)

    async def _connected(self) -> Connection:
        loop, name = asyncio.get_running_loop(), f"{self._host}:{self._port}"
        try:
            async with Timeout(self._connect_s):
                reached = await aiohappyeyeballs.start_connection(
                    await self._addresses(), happy_eyeballs_delay=_HAPPY_EYEBALLS_S, interleave=1
                )
                _, connection = await loop.create_connection(
                    lambda: Connection(self),
                    sock=reached,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls else None,
                )
        except TimeoutError as error:
            took = f"{name} took no connection in {self._connect_s:g} s"
            raise Unreachable(took, waited=True) from error
        except (OSError, UnicodeError) as error:  # a name with odd letters is one of the second
            self._placed = -math.inf
            raise Unreachable(f"{name}: {error}") from error
        if self._is_closed:
            connection.end()
            raise Unreachable(f"the connections to {name} are closed")
        self._open.add(connection)
        return connection

    async def _addresses(self) -> Places:
        """Return the host's addresses, asked for once for all who connect within a few seconds."""
        loop = asyncio.get_running_loop()
        if self._places is None or loop.time() - self._placed > _SAME_PLACE_S:
            self._placed = loop.time()
            asked = loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            self._places = asyncio.ensure_future(asked)
        return await asyncio.shield(self._places)


class Connection(asyncio.Protocol):
    """One connection, and the answer that is read from it.

    Attributes
    ----------
    status, headers
        Of the answer whose head has come last.
    rested_since
        When it was last given back, on the monotonic clock.
    answers
        Whole answers that it has brought.
    was_asked
        Whether a request was written to it.
    """

    status = 0
    answers = 0
    was_asked = False
    headers: Mapping[str, str]
    rested_since = 0.0

    def __init__(self, pool: Http1) -> None:
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._pieces: list[bytes] = []
        self._waiting = 0  # bytes in them
        self._busy = False  # between a request and the end of its answer
        self._paused = False

    async def ask(self, head: bytes, content: bytes) -> None:
        """Send a request, and wait for the head of its answer.

        Raises
        ------
        HostFault
            There is none.
        """
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self._busy, self._has_head, self._done = True, False, False
        self._keeps, self._surplus = False, False
        self._lines: list[tuple[str, str]] = []
        self._count = 0  # bytes up to the end of the head
        self._fault: HostFault | None = None
        if self._transport is None or self._transport.is_closing():
            self._busy = False
            raise Dropped("closed while it idled")
        self.was_asked = True
        if len(content) <= _ONE_PIECE:
            self._transport.write(head + content)
        else:
            self._transport.writelines((head, content))
        try:
            while not self._has_head:
                await self._more()
        except BaseException:
            self.end()
            raise

    async def read(self) -> bytes:
        """Return what has come of the body, waiting where that is nothing; empty at its end.

        Raises
        ------
        HostFault
            It broke off.
        """
        while not self._pieces:
            if self._done:
                return b""
            await self._more()
        piece = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._waiting = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return piece

    def close(self) -> None:
        """Give the connection back, or end it where there is more to come."""
        if not self._busy:
            return
        self._busy = False
        whole = self._done and not self._pieces
        if whole and self._keeps and not self._surplus and self._transport is not None:
            self.rested_since = time.monotonic()
            self.answers += 1
            self._pool.keep(self)
        else:
            self.end()

    def end(self) -> None:
        """Close it at once."""
        self._busy = False
        if self._transport is not None:
            self._transport.abort()

    async def _more(self) -> None:
        """Wait until something comes."""
        if self._fault is not None:
            raise self._fault
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass

    def data_received(self, data: bytes) -> None:
        """Read on; what nobody has asked for ends the connection."""
        if not self._busy or self._done:
            self._surplus = True
            if not self._busy:
                self.end()
            return
        if not self._has_head:
            self._count += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._surplus = True
            if not self._done:
                self._break(HostFault(f"{type(error).__name__}: {error}"))
        else:
            if not self._has_head and self._count > _MOST_HEAD:
                self._break(HostFault(f"a head of more than {_MOST_HEAD} bytes"))
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """Note the end of the connection, which may be the end of an answer."""
        self._transport = None
        self._pool.lost(self)
        if self._busy and not self._done and self._fault is None:
            if self._has_head and self._to_the_end and error is None:
                self._done = True
            elif self._count:
                self._fault = HostFault(f"the connection was lost: {error or 'closed'}")
            else:
                self._fault = Dropped(f"closed without a word: {error or 'closed'}")
        self._wake()

    def _break(self, fault: HostFault) -> None:
        self._fault = fault
        if self._transport is not None:
            self._transport.abort()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Note that more comes than was asked for: it is nobody's, and ends the connection."""
        self._surplus = self._surplus or self._done

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a line of the head; lines behind the body say nothing that matters."""
        if not self._has_head:
            self._lines.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Take the head, unless it only announces another (RFC 9110, 15.2)."""
        if self._done:
            return
        self.status = self._parser.get_status_code()
        if self.status >= 200:
            self.headers = headers = CIMultiDict(self._lines)
            self._has_head = True
            # Without a length, the end of the connection is the end of the body (RFC 9112, 6.3).
            self._to_the_end = (
                self.status not in _NO_BODY
                and "content-length" not in headers
                and "chunked" not in headers.get("transfer-encoding", "").lower()
            )

    def on_body(self, body: bytes) -> None:
        """Keep a piece, and read no more while too much is waiting."""
        if self._done:
            return
        self._pieces.append(body)
        self._waiting += len(body)
        if self._waiting > _MOST_WAITING and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Note the end of an answer, or of what came before it."""
        if self._has_head and not self._done:
            self._done = True
            self._keeps = self._parser.should_keep_alive()
        self._lines.clear()
