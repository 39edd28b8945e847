"""A pool of connections to one host.

The transport is called directly: what `httpx.AsyncClient` adds (cookies, redirects, authentication
flows) is not wanted here and would cost more than the rest of the way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

Connect = Callable[[int], httpx.AsyncBaseTransport]
"""Opens a transport that keeps so many connections at most."""


def connect(connections: int) -> httpx.AsyncBaseTransport:
    """Return a transport that keeps so many connections at most."""
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


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a host may take, in seconds: to take a connection, and between two pieces."""

    connect_s: float
    read_s: float


class Connections:
    """Connections to the host of a base URL.

    Parameters
    ----------
    base
        Such as `https://host/v1`; paths are added to it.
    headers
        Sent with every request.
    most
        Connections that are kept at most.
    """

    def __init__(
        self,
        base: str,
        headers: Mapping[bytes, bytes],
        patience: Patience,
        most: int,
        connect: Connect = connect,
    ) -> None:
        self._base = base.rstrip("/")
        self._headers = [
            (b"host", httpx.URL(self._base).netloc),
            (b"accept-encoding", b"identity"),  # else aiohttp offers gzip, which nobody unpacks
            *headers.items(),
        ]
        self._patience = patience
        self._most = most
        self._connect = connect
        self._urls: dict[str, httpx.URL] = {}
        self._transport: httpx.AsyncBaseTransport | None = None

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return self._transport is not None

    def open(self) -> None:
        """Take what sending needs; connections are made when they are."""
        self._transport = self._connect(self._most)

    async def close(self) -> None:
        """Close every connection."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def send(
        self, method: str, path: str, content: bytes = b"", *, read_s: float | None = None
    ) -> httpx.Response:
        """Send a request and return its answer, whose body is still to be read.

        Whoever asked closes the answer (`aclose`), read or not: it holds a connection.

        Parameters
        ----------
        read_s
            Longest silence, where it is not that of all requests.

        Raises
        ------
        httpx.TransportError
            The host cannot be reached, or is silent (`httpx.TimeoutException`).
        """
        assert self._transport is not None, "open first"
        if path not in self._urls:  # parsing one takes as long as a small request
            self._urls[path] = httpx.URL(self._base + path)
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
                    "read": read_s or wait.read_s,
                    "write": wait.read_s,
                }
            },
        )
        answer = await self._transport.handle_async_request(request)
        answer.request = request
        return answer
