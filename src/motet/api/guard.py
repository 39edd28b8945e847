"""What stands before every endpoint: the key check and the bound on bodies."""

from __future__ import annotations

import asyncio
import hmac

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.types import ASGIApp, Receive, Scope, Send

from motet.api.errors import on_motet_error
from motet.config import Service
from motet.errors import RequestTimeout, RequestTooLarge, Unauthorized

_OPEN = ("/health", "/ready", "/metrics")


class KeyCheck:
    """Refuses requests without one of the configured bearer tokens, in constant time."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._keys = [key.get_secret_value().encode() for key in service.api_keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] != "http" or not self._keys or scope["path"] in _OPEN:
            await self._app(scope, receive, send)
            return
        header = dict(scope["headers"]).get(b"authorization", b"")
        given = header.removeprefix(b"Bearer ")
        # Every key is compared, so the time does not tell which one came close.
        if any([hmac.compare_digest(given, key) for key in self._keys]):
            await self._app(scope, receive, send)
            return
        response = await on_motet_error(HttpRequest(scope), Unauthorized(given=bool(given)))
        await response(scope, receive, send)


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
