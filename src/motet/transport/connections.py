"""A pool of connections to one host: bounds, patience, and what is read of its answers."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import httpx

from motet.clock import Timeout
from motet.transport.faults import Crowded, HostFault, TooMuch, fault_of
from motet.transport.link import Connect, Link, Received, Transport, connect, login, proxy_of

_MOST_UNPACKED = 2**18
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_PACKED = frozenset({"gzip", "x-gzip", "deflate"})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a host may take, in seconds: to take a connection, and between two pieces."""

    connect_s: float
    read_s: float


class Response:
    """A host's answer, whose body is still to be read.

    Whoever asked closes it, read or not: it holds a connection.

    Attributes
    ----------
    status, headers
        Of HTTP; headers have no case.
    """

    def __init__(
        self, answer: Received, most_bytes: int, read_s: float, leave: Callable[[], None]
    ) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._answer = answer
        self._most_bytes = most_bytes
        self._read_s = read_s
        self._leave = leave
        self._is_closed = False

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes, unpacked where the host has packed it.

        Raises
        ------
        HostFault
            It breaks off, is silent for too long, or is longer than allowed.
        """
        packed = self.headers.get("content-encoding", "").lower() in _PACKED
        body = _Inflated(self._answer) if packed else self._answer
        count = 0
        try:
            while True:
                async with Timeout(self._read_s):
                    piece = await body.read()
                if not piece:
                    return
                count += len(piece)
                if count > self._most_bytes:
                    raise TooMuch(f"more than {self._most_bytes} bytes")
                yield piece
        except HostFault:
            raise
        except Exception as error:
            raise fault_of(error, begun=True) from error

    async def body(self) -> bytes:
        """Return the whole body; see `pieces`."""
        return b"".join([piece async for piece in self.pieces()])

    def close(self) -> None:
        """Give the connection back, or end it where there is more to come; once more is nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._leave()
        with suppress(Exception):  # what breaks while it is thrown away is nobody's loss
            self._answer.close()


class _Inflated:
    """A body that gzip or zlib has packed, a bounded piece at a time.

    A few kilobytes may hold megabytes: unpacked at once, they would hold up everybody else.
    """

    def __init__(self, packed: Received) -> None:
        self._packed = packed
        self._piece = b""
        self._unpacking = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._full = False

    async def read(self) -> bytes:
        """Return what comes next; empty at the end."""
        while True:
            # What fills the bound may have more behind it, although all was taken in.
            if not self._piece and not self._full:
                self._piece = await self._packed.read()
                if not self._piece:
                    return b""
            if self._unpacking.eof:
                self._unpacking = zlib.decompressobj(_GZIP_OR_ZLIB)  # a further member
            unpacked = self._unpacking.decompress(self._piece, _MOST_UNPACKED)
            self._piece = self._unpacking.unconsumed_tail or self._unpacking.unused_data
            self._full = len(unpacked) == _MOST_UNPACKED and not self._unpacking.eof
            await asyncio.sleep(0)
            if unpacked:
                return unpacked


class Connections:
    """Connections to the host of a base URL.

    Parameters
    ----------
    base
        Such as `https://host/v1`; paths are added to it, before its query where it has one. A user
        and password in it are sent as basic authentication, and shown nowhere.
    headers
        Sent with every request.
    most
        Requests at once at most; others wait as long as for a silent host.
    most_bytes
        Longest body that is read.

    Attributes
    ----------
    shown
        The base for people: no password, and no query, which may hold a key.
    origin
        Scheme, name and port.
    at_work
        Requests that are sent and not closed.
    waiting
        Requests that wait for a place.
    """

    def __init__(
        self,
        base: str,
        headers: Mapping[str, str],
        patience: Patience,
        most: int,
        *,
        most_bytes: int = 2**25,
        link: Link | None = None,
        connect: Connect = connect,
    ) -> None:
        url = httpx.URL(base)
        self._base = url.copy_with(username=None, password=None, fragment=None)
        self.shown = str(self._base.copy_with(query=None))
        self.origin = str(self._base.copy_with(path="/", query=None))
        self._headers = {
            "host": url.netloc.decode(),
            "accept-encoding": "identity",  # what comes packed all the same is unpacked
            **login(url, "authorization"),
            **headers,
        }
        self._patience = patience
        self._most_bytes = most_bytes
        self._places = asyncio.Semaphore(most)
        self._link = replace(
            link or Link(),
            origin=self.origin,
            proxy=proxy_of(self._base),
            connect_s=patience.connect_s,
        )
        self._connect = connect
        self._urls: dict[str, str] = {}
        self._transport: Transport | None = None
        self.at_work = 0
        self.waiting = 0

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return self._transport is not None

    def open(self) -> None:
        """Take what sending needs; connections are made when they are.

        Raises
        ------
        OSError
            A file of the link cannot be read, or is no certificate (`ssl.SSLError`).
        """
        self._transport = self._connect(self._link)

    async def close(self) -> None:
        """Close every connection."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()

    async def send(
        self, path: str, content: bytes, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Send a request, once there is a place for it, and return its answer.

        Parameters
        ----------
        headers
            Of this request alone, beside those of all.

        Raises
        ------
        HostFault
            Of the kind that says what had happened.
        """
        if self._places.locked():
            self.waiting += 1
            try:
                async with Timeout(self._patience.read_s):
                    await self._places.acquire()
            except TimeoutError:
                raise Crowded(f"no connection was free in {self._patience.read_s:g} s") from None
            finally:
                self.waiting -= 1
        else:
            await self._places.acquire()
        self.at_work += 1
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self.at_work -= 1
                self._places.release()

        try:
            return await self._ask("POST", path, content, self._patience.read_s, leave, headers)
        except BaseException:
            leave()
            raise

    async def look(self, path: str, read_s: float) -> Response:
        """Ask for what `path` shows, whether or not a place is free.

        Parameters
        ----------
        read_s
            Longest silence, in seconds.

        Raises
        ------
        HostFault
            Of the kind that says what had happened.
        """
        return await self._ask("GET", path, b"", read_s, lambda: None)

    async def _ask(
        self,
        method: str,
        path: str,
        content: bytes,
        read_s: float,
        leave: Callable[[], None],
        more: Mapping[str, str] | None = None,
    ) -> Response:
        assert self._transport is not None, "open first"
        url = self._urls.get(path)
        if url is None:  # making one takes as long as a small request
            whole = self._base.copy_with(path=self._base.path.rstrip("/") + path)
            url = self._urls[path] = str(whole)
        headers = {**self._headers, **more} if more else self._headers
        try:
            async with Timeout(self._patience.connect_s + read_s):
                answer = await self._transport.send(method, url, headers, content)
        except Exception as error:
            # The edge to the library: whatever it raises is a fault of this call.
            raise fault_of(error, begun=False) from error
        return Response(answer, self._most_bytes, read_s, leave)
