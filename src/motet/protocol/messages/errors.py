"""Anthropic's error object."""

from __future__ import annotations

from typing import Any

import orjson

from motet.errors import MotetError

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def error_fields(message: str, status: int) -> dict[str, Any]:
    """Return Anthropic's error object for an error with a status."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}}


def error_body(error: MotetError) -> bytes:
    """Return the body of an error answer, which is also the data of an error event."""
    return orjson.dumps(error_fields(str(error), error.status))
