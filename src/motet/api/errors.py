"""Every failure as OpenAI's error object, with the right status and headers."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

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


def response_to(error: Exception) -> Response:
    """Return what a client is answered instead, whatever has failed."""
    if isinstance(error, MotetError):
        return _json(error_body(error), error.status, error_headers(error))
    if isinstance(error, RequestValidationError):  # a query parameter that is not of its form
        fault = error.errors()[0]
        name = str(fault["loc"][-1])
        message = f"{name}: {fault['msg']}. Got {fault['input']!r}."
        return _json(orjson.dumps(error_fields(message, "invalid_request_error", None, name)), 400)
    if isinstance(error, HTTPException):  # a path or method that does not exist
        kind = _TYPES.get(error.status_code, "api_error")
        content = orjson.dumps(error_fields(str(error.detail), kind))
        return _json(content, error.status_code, error.headers)
    # A fault of Motet's own: the client learns no internals, the log all of them.
    log.error("unexpected error", exc_info=error)
    fields = error_fields("An internal error; the service's log has its cause.", "server_error")
    return _json(orjson.dumps(fields), 500)


async def on_error(_: Request, error: Exception) -> Response:
    """Answer for an error, as FastAPI asks for it."""
    return response_to(error)


def _json(content: bytes, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(content, status, headers, media_type="application/json")
