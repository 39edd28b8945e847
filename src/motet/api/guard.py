"""What stands before every endpoint: from where a request comes, who asks, and bounds on bodies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.requests import Request as HttpRequest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from motet.api.errors import response_to
from motet.clock import Timeout
from motet.config import Config, Service, is_loopback
from motet.errors import (
    Forbidden,
    ForeignSite,
    MotetError,
    RequestTimeout,
    RequestTooLarge,
    Unauthorized,
    UnsupportedMedia,
)
from motet.operations.callers import OPEN, Callers, Holder
from motet.types import Caller

_OPEN = ("/health", "/ready")
_SCOPES = (
    ("/admin", "admin"),
    ("/metrics", "metrics"),
    ("/v1/files", "batch"),
    ("/v1/batches", "batch"),
    ("/v1/feedback", "feedback"),
    ("/v1/models", None),
    ("/v1/", "chat"),
)
"""What a path needs, by how it begins; the first that fits counts."""
_UNKNOWN = Holder(Caller(scopes=frozenset()))
_HOLDER = "motet.holder"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = b"GET, HEAD, POST, DELETE, OPTIONS"
_FOR_PAGES = [
    (b"access-control-allow-methods", _METHODS),
    (b"access-control-max-age", b"600"),
]
_READ_BY_PAGES = (
    b"retry-after, x-motet-composition, x-motet-experts, x-motet-decision-id, "
    b"x-motet-confidence, x-motet-request-id, x-motet-cost-usd"
)

Headers = Mapping[bytes, bytes]


class Doorkeeper:
    """Lets in who may ask: by name of the host, by the page that asks, and by key.

    A browser on this machine runs pages of strangers, and to it a service on loopback is near. So
    there only loopback's own names are answered to (else a name of the stranger's could be pointed
    here), pages of other sites are refused unless the config names them, and so are the bodies that
    a page may send without asking first.

    Parameters
    ----------
    app
        What is behind the door.
    config
        Returns the config that holds now: keys and origins may change while the service runs.
    admin_hash
        See `Callers`.
    """

    def __init__(
        self, app: ASGIApp, config: Callable[[], Config], admin_hash: str | None = None
    ) -> None:
        self._app = app
        self._config = config
        self._admin_hash = admin_hash
        self._is_near = is_loopback(config().service.host)  # an address is bound once
        self._take(config())

    def _take(self, config: Config) -> None:
        self._taken = config
        self._origins = frozenset(config.service.cors_origins)
        self._callers = Callers(config, self._admin_hash)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer for it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._config() is not self._taken:
            self._take(self._config())
        headers: Headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        if origin is not None and self._is_welcome(origin, headers):
            send = _readable(send, origin)
        if scope["method"] == "OPTIONS":
            await _answer_options(headers, origin, send)
            return
        if scope["method"] == "HEAD":
            scope, send = {**scope, "method": "GET"}, _without_body(send)
        try:
            self._check_site(scope, headers)
            scope[_HOLDER] = self._check_key(scope, headers)
        except MotetError as error:
            await response_to(error, scope["path"])(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_site(self, scope: Scope, headers: Headers) -> None:
        """Refuse what a page of another site has sent, or sent to another name."""
        host = headers.get(b"host", b"")
        if self._is_near and host and not _is_loopback_at(f"//{host.decode('latin-1')}"):
            raise ForeignSite(
                f"This service answers to loopback's names, not to {host.decode('latin-1')!r}.",
                hint="Ask localhost, or bind another address with service.host.",
            )
        origin = headers.get(b"origin")
        crosses = headers.get(b"sec-fetch-site", b"") == b"cross-site"
        foreign = crosses if origin is None else not self._is_welcome(origin, headers)
        if foreign and scope["method"] not in _SAFE:
            raise ForeignSite(
                "A page of another site may not ask this service.",
                hint="Name its origin in service.cors_origins to let it.",
            )
        kind = headers.get(b"content-type", b"").lower()
        takes_form = scope["path"] == "/v1/files"
        if scope["method"] == "POST" and kind and not takes_form and b"json" not in kind:
            raise UnsupportedMedia(
                f"The body is {kind.decode('latin-1')!r}, where JSON belongs.",
                hint="Send the header 'Content-Type: application/json'.",
            )

    def _check_key(self, scope: Scope, headers: Headers) -> Holder:
        """Return who asks, and that he may."""
        wanted = _scope_of(scope["path"])
        given = _key_in(headers)
        holder = self._callers.find(given) if given else None
        if holder is None:
            if not self._callers.are_asked:
                if wanted == "admin" and not self._is_near:
                    raise Forbidden("admin")
                return OPEN
            if scope["path"] in _OPEN:
                return _UNKNOWN
            raise Unauthorized(given=bool(given))
        if wanted is not None and not holder.caller.may(wanted):
            raise Forbidden(wanted)
        return holder

    def _is_welcome(self, origin: bytes, headers: Headers) -> bool:
        """Return whether a page of `origin` may ask, and read what is answered."""
        text = origin.decode("latin-1")
        if text in self._origins or "*" in self._origins:
            return True
        if text.partition("://")[2] == headers.get(b"host", b"").decode("latin-1"):
            return True  # a page of our own
        return self._is_near and _is_loopback_at(text)


def _key_in(headers: Headers) -> bytes:
    """Return the key that a request brings, in either of the headers that clients use.

    The scheme has no case (RFC 9110, 11.1), and what has none is no key.
    """
    scheme, _, given = headers.get(b"authorization", b"").strip().partition(b" ")
    if scheme.lower() == b"bearer":
        return given.strip()
    return headers.get(b"x-api-key", b"").strip()


@lru_cache(maxsize=256)
def _is_loopback_at(url: str) -> bool:
    """Return whether the host of a URL is this machine; many requests name the same few."""
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def _readable(send: Send, origin: bytes) -> Send:
    """Return a `send` whose answers a page of `origin` may read."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            more = [
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", _READ_BY_PAGES),
                (b"vary", b"origin"),
            ]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        await send(message)

    return sending


def _without_body(send: Send) -> Send:
    """Return a `send` that answers as to GET, less the body."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return sending


async def _answer_options(headers: Headers, origin: bytes | None, send: Send) -> None:
    """Say what may be asked; a browser's question before the question never carries a key."""
    answer = [(b"allow", _METHODS), (b"content-length", b"0")]
    if origin is not None:
        wanted = headers.get(b"access-control-request-headers", b"*")
        answer += [*_FOR_PAGES, (b"access-control-allow-headers", wanted)]
        if headers.get(b"access-control-request-private-network") == b"true":
            answer.append((b"access-control-allow-private-network", b"true"))
    await send({"type": "http.response.start", "status": 204, "headers": answer})
    await send({"type": "http.response.body", "body": b""})


def caller_of(http: HttpRequest) -> Caller:
    """Return who asks: what the key says, whatever the body claims."""
    return holder_of(http).caller


def holder_of(http: HttpRequest) -> Holder:
    """Return who asks, and what bounds him."""
    holder: Holder = http.scope.get(_HOLDER, OPEN)
    return holder


def _scope_of(path: str) -> str | None:
    """Return the scope that a path needs; None where any key does."""
    for start, scope in _SCOPES:
        if path.startswith(start):
            return scope
    return None


async def read_body(http: HttpRequest, service: Service) -> bytes:
    """Return the request body.

    Raises
    ------
    RequestTooLarge
        It is over `service.max_body_bytes`.
    RequestTimeout
        It did not arrive within `service.body_timeout_s`.
    """
    limit = int(service.max_body_bytes)
    announced = http.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise RequestTooLarge(limit=limit, size=int(announced))
    parts, size, more = [], 0, True
    try:
        async with Timeout(service.body_timeout_s):
            while more:
                message = await http.receive()
                if message["type"] == "http.disconnect":
                    raise RequestTimeout("The client left before its body was complete.")
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limit:
                    raise RequestTooLarge(limit=limit)
                more = message.get("more_body", False)
    except TimeoutError:
        raise RequestTimeout(
            f"The body did not arrive within {service.body_timeout_s:g} s."
        ) from None
    return b"".join(parts)
