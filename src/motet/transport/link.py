"""How a host is reached, and which client sends: our own, or aiohttp where a proxy stands between.

Both are spoken to through two small protocols, so that tests can stand in their place.
"""

from __future__ import annotations

import base64
import io
import ssl
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import httpx

if TYPE_CHECKING:
    import aiohttp

_MOST_HEADER_BYTES = 65_536
_MOST_AT_ONCE = 2**20
_IDLE_S = 30.0
_OWN_HEADERS = ("accept", "user-agent")
"""What aiohttp adds by itself, and nobody has asked for."""


@dataclass(frozen=True, slots=True)
class Link:
    """How a host is reached.

    Attributes
    ----------
    ca, certificate, key
        Files in PEM: who vouches for the host, where it is not the system's list, and who we are.
    proxy
        URL of the proxy between, if there is one.
    origin
        The host's scheme, name and port, as a URL.
    connect_s
        Seconds that connecting may take.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    proxy: str | None = None
    origin: str = ""
    connect_s: float = 5.0

    def tls(self) -> ssl.SSLContext:
        """Return the settings of TLS; the system's where no file says otherwise."""
        if self.ca is None and self.certificate is None:
            return _system_tls()
        context = ssl.create_default_context(cafile=self.ca)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


class Received(Protocol):
    """An answer whose head has come."""

    @property
    def status(self) -> int:
        """Of HTTP."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By names that have no case."""

    async def read(self) -> bytes:
        """Return what has come of the body, waiting where that is nothing; empty at its end."""

    def close(self) -> None:
        """Give the connection back, or end it where there is more to come."""


class Transport(Protocol):
    """Sends requests."""

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes
    ) -> Received:
        """Return the answer to a request once its head has come; whatever fails is raised."""

    async def close(self) -> None:
        """Close every connection."""


Connect = Callable[[Link], Transport]
"""Opens a transport over a link."""


def connect(link: Link) -> Transport:
    """Return a transport over `link`, which keeps as many connections as are used at once.

    Raises
    ------
    OSError
        A file of the link cannot be read, or is no certificate (`ssl.SSLError`).
    """
    from motet.transport.http1 import Http1

    return Http1(link.origin, link.tls(), link.connect_s) if link.proxy is None else _Aiohttp(link)


@cache
def _system_tls() -> ssl.SSLContext:
    """Return the settings that most hosts share: to read the system's authorities takes a while."""
    return ssl.create_default_context()


class _Aiohttp:
    """aiohttp, which knows how proxies are spoken to."""

    def __init__(self, link: Link) -> None:
        assert link.proxy is not None
        proxy = httpx.URL(link.proxy)
        self._proxy = str(proxy.copy_with(username=None, password=None))
        self._proxy_headers = login(proxy, "proxy-authorization")
        self._tls = link.tls()
        self._connect_s = link.connect_s
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes
    ) -> Received:
        session = self._session or self._open()
        if url.startswith("http:"):  # else only the proxy reads it, and the host gets none
            headers = {**headers, **self._proxy_headers}
        # aiohttp writes big bytes in one piece, and warns of it.
        body = io.BytesIO(content) if len(content) > _MOST_AT_ONCE else content or None
        answer = await session.request(
            method,
            url,
            headers=headers,
            data=body,
            allow_redirects=False,
            proxy=self._proxy,
            proxy_headers=self._proxy_headers,
        )
        return _Answered(answer)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        self._session = aiohttp.ClientSession(
            # Who waits for a place is counted above, where waiting is told from not connecting.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_S, ssl=self._tls),
            # Reading has a clock of ours: after a bad chunk size aiohttp's would wait for ever.
            timeout=aiohttp.ClientTimeout(
                total=None, connect=self._connect_s, sock_connect=self._connect_s
            ),
            # What one answer sets must not go out with everybody's next request.
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_OWN_HEADERS,
            auto_decompress=False,
            max_line_size=_MOST_HEADER_BYTES,
            max_field_size=_MOST_HEADER_BYTES,
        )
        return self._session


class _Answered:
    """An answer of aiohttp's."""

    __slots__ = ("_answer", "close", "headers", "read", "status")

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self.status = answer.status
        self.headers = answer.headers
        self.read = answer.content.readany
        self.close = answer.close


def login(url: httpx.URL, header: str) -> dict[str, str]:
    """Return the header that says what a URL has before its host; none where it has nothing."""
    if not url.userinfo:
        return {}
    pair = f"{url.username}:{url.password}".encode()
    return {header: f"Basic {base64.b64encode(pair).decode()}"}


def proxy_of(url: httpx.URL) -> str | None:
    """Return the proxy that the environment names for a URL (`HTTPS_PROXY`, `NO_PROXY`, ...)."""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy is None or urllib.request.proxy_bypass(url.host):
        return None
    if proxy.startswith(("http://", "https://")):
        return proxy
    return None if "://" in proxy else f"http://{proxy}"
