"""Every failure as OpenAI's error object, with the right status and headers."""

from __future__ import annotations

import logging
import math

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from motet.errors import MotetError
from motet.protocol.errors import error_body, error_fields

log = logging.getLogger(__name__)

_TYPES = {401: "authentication_error", 404: "invalid_request_error", 405: "invalid_request_error"}


def error_headers(error: MotetError) -> dict[str, str]:
    """Return `Retry-After`, in whole seconds, for errors that time may heal."""
    wait = error.retry_after
    if wait is None and error.status in (429, 503):
        wait = 1.0
    return {} if wait is None else {"retry-after": str(max(1, math.ceil(wait)))}


async def on_motet_error(_: Request, error: Exception) -> Response:
    """Answer for an error that Motet raised on purpose."""
    if not isinstance(error, MotetError):  # Starlette types handlers by the base class
        raise error
    return Response(
        error_body(error), error.status, error_headers(error), media_type="application/json"
    )


async def on_bad_parameter(_: Request, error: Exception) -> Response:
    """Answer for a query parameter that is not of its form."""
    if not isinstance(error, RequestValidationError):
        raise error
    fault = error.errors()[0]
    name = str(fault["loc"][-1])
    message = f"{name}: {fault['msg']}. Got {fault['input']!r}."
    content = orjson.dumps(error_fields(message, "invalid_request_error", None, name))
    return Response(content, 400, media_type="application/json")


async def on_http_error(_: Request, error: Exception) -> Response:
    """Answer for a path or method that does not exist."""
    if not isinstance(error, HTTPException):
        raise error
    kind = _TYPES.get(error.status_code, "api_error")
    content = orjson.dumps(error_fields(str(error.detail), kind))
    return Response(content, error.status_code, error.headers, media_type="application/json")


async def on_unexpected_error(_: Request, error: Exception) -> Response:
    """Answer for a fault of Motet's own: the client learns no internals, the log all of them."""
    log.error("unexpected error", exc_info=error)
    fields = error_fields("An internal error; the service's log has its cause.", "server_error")
    return Response(orjson.dumps(fields), 500, media_type="application/json")
