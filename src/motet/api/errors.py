"""Every failure as the error object of the protocol that is asked, with its status and headers."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from motet.errors import MotetError, StoreError
from motet.protocol.errors import error_body, error_fields
from motet.protocol.messages import errors as messages

log = logging.getLogger(__name__)

_TYPES = {401: "authentication_error", 404: "invalid_request_error", 405: "invalid_request_error"}
_MESSAGES = "/v1/messages"
_NO_STORE = "What the service keeps cannot be read or written now."


def error_headers(error: MotetError) -> dict[str, str]:
    """Return `Retry-After`, in whole seconds, for errors that time may heal."""
    wait = error.retry_after
    if wait is None and error.status in (429, 503):
        wait = 1.0
    return {} if wait is None else {"retry-after": str(max(1, math.ceil(wait)))}


def response_to(error: Exception, path: str = "") -> Response:
    """Return what a client is answered instead, whatever has failed.

    Parameters
    ----------
    path
        What was asked for, which says how its clients read errors.
    """
    if isinstance(error, StoreError):  # it names hosts and paths, which are the operator's
        log.warning("a client is refused: %s", error)
        wait = error.retry_after
        error = StoreError(_NO_STORE, hint="Try again; the log has the cause.", retry_after=wait)
    if isinstance(error, MotetError):
        body = messages.error_body(error) if path.startswith(_MESSAGES) else error_body(error)
        return _json(body, error.status, error_headers(error))
    if isinstance(error, RequestValidationError):  # a query parameter that is not of its form
        fault = error.errors()[0]
        name = str(fault["loc"][-1])
        message = f"{name}: {fault['msg']}. Got {fault['input']!r}."
        return _told(message, "invalid_request_error", 400, path, name)
    if isinstance(error, HTTPException):  # a path or method that does not exist
        kind = _TYPES.get(error.status_code, "api_error")
        return _told(str(error.detail), kind, error.status_code, path, headers=error.headers)
    # A fault of Motet's own: the client learns no internals, the log all of them.
    log.error("unexpected error", exc_info=error)
    return _told("An internal error; the service's log has its cause.", "server_error", 500, path)


async def on_error(request: Request, error: Exception) -> Response:
    """Answer for an error, as FastAPI asks for it."""
    return response_to(error, request.url.path)


def _told(
    message: str,
    kind: str,
    status: int,
    path: str,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    if path.startswith(_MESSAGES):
        fields = messages.error_fields(message, status)
    else:
        fields = error_fields(message, kind, None, param)
    return _json(orjson.dumps(fields), status, headers)


def _json(content: bytes, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(content, status, headers, media_type="application/json")
