"""One HTTP/1.1 connection: a request written to it, and the answer that httptools reads from it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import httptools
from multidict import CIMultiDict

from motet.transport.faults import Dropped, HostFault

if TYPE_CHECKING:
    from motet.transport.http1 import Http1

_MOST_HEAD = 2**16
_MOST_WAITING = 2**18
_ONE_PIECE = 2**16
"""Bytes up to which a body is sent with its head: copying them is less than a system call."""
_NO_BODY = frozenset({204, 304})


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
