"""A pool of connections to one host.

The transport is called directly: what `httpx.AsyncClient` adds (cookies, redirects, authentication
flows) is not wanted here and would cost more than the rest of the way.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import urllib.request
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from motet.transport.faults import Crowded, HostFault, TooMuch, fault_of

_MOST_HEADER_BYTES = 65_536
_MOST_UNPACKED = 2**18
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Link:
    """How a host is reached.

    Attributes
    ----------
    ca, certificate, key
        Files in PEM: who vouches for the host, where it is not the system's list, and who we are.
    proxy
        URL of the proxy between, if there is one.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    proxy: str | None = None

    def tls(self) -> ssl.SSLContext | bool:
        """Return the settings of TLS; True for the system's."""
        if self.ca is None and self.certificate is None:
            return True
        context = ssl.create_default_context(cafile=self.ca)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


Connect = Callable[[Link], httpx.AsyncBaseTransport]
"""Opens a transport over a link."""


def connect(link: Link) -> httpx.AsyncBaseTransport:
    """Return a transport over `link`, which keeps as many connections as are used at once."""
    # aiohttp's parser and pool under httpx's interface: about a third of the time per request of
    # httpx's own transport at one connection, a seventh at sixteen (benchmarks/overhead.py).
    import aiohttp
    from httpx_aiohttp import AiohttpTransport

    tls = link.tls()
    transport: httpx.AsyncBaseTransport = AiohttpTransport(
        proxy=None if link.proxy is None else httpx.Proxy(link.proxy),
        client=lambda: aiohttp.ClientSession(
            # Who waits for a place is counted above, where waiting is told from not connecting.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30, ssl=tls),
            # What one answer sets must not go out with everybody's next request.
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_line_size=_MOST_HEADER_BYTES,
            max_field_size=_MOST_HEADER_BYTES,
        ),
    )
    return transport


def proxy_of(url: httpx.URL) -> str | None:
    """Return the proxy that the environment names for a URL (`HTTPS_PROXY`, `NO_PROXY`, ...)."""
    if urllib.request.proxy_bypass(url.host):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy is None or proxy.startswith(("http://", "https://")):
        return proxy
    return None if "://" in proxy else f"http://{proxy}"


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
        self, answer: httpx.Response, most_bytes: int, read_s: float, leave: Callable[[], None]
    ) -> None:
        self.status = answer.status_code
        self.headers: Mapping[str, str] = answer.headers
        self._answer = answer
        self._most_bytes = most_bytes
        self._read_s = read_s
        self._leave = leave

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes, unpacked where the host has packed it.

        Raises
        ------
        HostFault
            It breaks off, is silent for too long, or is longer than allowed.
        """
        count, body = 0, _unpacked(self._answer)
        try:
            while True:
                # A clock of our own: after a bad chunk size aiohttp waits for ever.
                async with asyncio.timeout(self._read_s):
                    try:
                        piece = await anext(body)
                    except StopAsyncIteration:
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

    async def close(self) -> None:
        """Give the connection back, or end it where there is more to come."""
        self._leave()
        with suppress(Exception):  # what breaks while it is thrown away is nobody's loss
            await self._answer.aclose()


def _unpacked(answer: httpx.Response) -> AsyncIterator[bytes]:
    if answer.headers.get("content-encoding", "").lower() in ("gzip", "x-gzip", "deflate"):
        return _inflated(answer.aiter_raw())
    return answer.aiter_bytes()


async def _inflated(packed: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield what gzip or zlib has packed, a bounded piece at a time.

    A few kilobytes may hold megabytes: unpacked at once, they would hold up everybody else.
    """
    unpacking = zlib.decompressobj(_GZIP_OR_ZLIB)
    async for piece in packed:
        more = True
        while more:
            if unpacking.eof:
                unpacking = zlib.decompressobj(_GZIP_OR_ZLIB)  # a further member
            if unpacked := unpacking.decompress(piece, _MOST_UNPACKED):
                yield unpacked
            piece = unpacking.unconsumed_tail or unpacking.unused_data
            # What fills the bound may have more behind it, although all was taken in.
            more = bool(piece) or (len(unpacked) == _MOST_UNPACKED and not unpacking.eof)
            await asyncio.sleep(0)


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
    """

    def __init__(
        self,
        base: str,
        headers: Mapping[bytes, bytes],
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
        login = {}
        if url.userinfo:
            pair = f"{url.username}:{url.password}".encode()
            login[b"authorization"] = b"Basic " + base64.b64encode(pair)
        self._headers = [
            (b"host", url.netloc),
            (b"accept-encoding", b"identity"),  # what comes packed all the same is unpacked
            *{**login, **headers}.items(),
        ]
        self._patience = patience
        self._most_bytes = most_bytes
        self._places = asyncio.Semaphore(most)
        self._link = replace(link or Link(), proxy=proxy_of(self._base))
        self._connect = connect
        self._urls: dict[str, httpx.URL] = {}
        self._transport: httpx.AsyncBaseTransport | None = None
        self.at_work = 0

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
            await transport.aclose()

    async def send(self, path: str, content: bytes) -> Response:
        """Send a request, once there is a place for it, and return its answer.

        Raises
        ------
        HostFault
            Of the kind that says what had happened.
        """
        if self._places.locked():
            try:
                async with asyncio.timeout(self._patience.read_s):
                    await self._places.acquire()
            except TimeoutError:
                raise Crowded(f"no connection was free in {self._patience.read_s:g} s") from None
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
            return await self._ask("POST", path, content, self._patience.read_s, leave)
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
        self, method: str, path: str, content: bytes, read_s: float, leave: Callable[[], None]
    ) -> Response:
        assert self._transport is not None, "open first"
        if path not in self._urls:  # parsing one takes as long as a small request
            self._urls[path] = self._base.copy_with(path=self._base.path.rstrip("/") + path)
        wait = self._patience
        request = httpx.Request(
            method,
            self._urls[path],
            headers=[*self._headers, (b"content-length", b"%d" % len(content))],
            content=content,
            extensions={
                "timeout": {
                    "connect": wait.connect_s,
                    "pool": wait.connect_s,
                    "read": read_s,
                    "write": wait.read_s,
                }
            },
        )
        try:
            async with asyncio.timeout(wait.connect_s + read_s):
                answer = await self._transport.handle_async_request(request)
        except Exception as error:
            # The edge to the libraries: whatever they raise is a fault of this call.
            raise fault_of(error, begun=False) from error
        answer.request = request
        return Response(answer, self._most_bytes, read_s, leave)
