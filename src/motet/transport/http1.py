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
from typing import Any
from urllib.parse import urlsplit

import aiohappyeyeballs

from motet.clock import Alarm, Timeout
from motet.transport.faults import Dropped, HostFault, Unreachable
from motet.transport.http1_connection import Connection

_IDLE_S = 30.0
_SAME_PLACE_S = 10.0
_HAPPY_EYEBALLS_S = 0.25
"""Seconds after which the next address of a host is tried beside one that is slow (RFC 8305)."""
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
