"""OpenAI's error object."""

from __future__ import annotations

from typing import Any

import orjson

from motet.errors import MotetError


def error_fields(
    message: str, kind: str, code: str | None = None, param: str | None = None
) -> dict[str, Any]:
    """Return OpenAI's error object."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_of(error: MotetError) -> dict[str, Any]:
    """Return the error object of an error of Motet's."""
    return error_fields(str(error), error.type, error.code, error.param)


def error_body(error: MotetError) -> bytes:
    """Return the body of an error answer, which is also the data of an error event."""
    return orjson.dumps(error_of(error))
