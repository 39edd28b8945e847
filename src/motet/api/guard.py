"""What stands before every endpoint: who asks, the key check, and the bound on bodies."""

from __future__ import annotations

import asyncio
import hashlib
import hmac

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.types import ASGIApp, Receive, Scope, Send

from motet.api.errors import on_motet_error
from motet.config import Service
from motet.errors import RequestTimeout, RequestTooLarge, Unauthorized
from motet.types import ANYBODY, Caller

_OPEN = ("/health", "/ready", "/metrics")


_CALLER = "motet.caller"


class KeyCheck:
    """Refuses requests without one of the configured bearer tokens, and notes whose it is."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        keys = [key.get_secret_value().encode() for key in service.api_keys]
        self._callers = [(key, _caller(key)) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] != "http" or not self._callers or scope["path"] in _OPEN:
            await self._app(scope, receive, send)
            return
        header = dict(scope["headers"]).get(b"authorization", b"")
        given = header.removeprefix(b"Bearer ")
        # Every key is compared in constant time, so the time does not tell which came close.
        same = [caller for key, caller in self._callers if hmac.compare_digest(given, key)]
        if same:
            scope[_CALLER] = same[0]
            await self._app(scope, receive, send)
            return
        response = await on_motet_error(HttpRequest(scope), Unauthorized(given=bool(given)))
        await response(scope, receive, send)


def _caller(key: bytes) -> Caller:
    """Return who a key of `service.api_keys` is: a name that tells nothing of the key itself."""
    name = f"key-{hashlib.sha256(key).hexdigest()[:8]}"
    return Caller(key=name, tenant=name)


def caller_of(http: HttpRequest) -> Caller:
    """Return who asks: what the key says, whatever the body claims."""
    caller: Caller = http.scope.get(_CALLER, ANYBODY)
    return caller


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
    parts, size = [], 0
    try:
        async with asyncio.timeout(service.body_timeout_s):
            async for part in http.stream():
                size += len(part)
                if size > limit:
                    raise RequestTooLarge(limit=limit)
                parts.append(part)
    except TimeoutError:
        raise RequestTimeout(
            f"The body did not arrive within {service.body_timeout_s:g} s."
        ) from None
    except ClientDisconnect:
        raise RequestTimeout("The client left before its body was complete.") from None
    return b"".join(parts)
