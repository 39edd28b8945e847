"""The failure of an expert: what a status, an error object or a break means, however it is told."""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from motet.errors import (
    ContextLengthExceeded,
    ExpertError,
    ExpertOverloaded,
    ExpertRejected,
    ExpertTimeout,
    ExpertUnavailable,
    MotetError,
)
from motet.parsing import parsed_leniently, whole_characters

_LIMIT = re.compile(
    r"(?:maximum context length\D{0,20}|max_model_len\W{0,3})(\d{1,9})", re.IGNORECASE
)
_NUMBER = re.compile(r"\d{1,9}")
_MOST_MESSAGE = 1000
_MOST_WAIT_S = 86_400.0
_STATUS_OF_WORD = {
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "resource_exhausted": 429,
    "too_many_requests": 429,
    "insufficient_quota": 429,
    "overloaded_error": 503,
    "unavailable": 503,
    "service_unavailable_error": 503,
    "timeout_error": 504,
    "deadline_exceeded": 504,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "unauthenticated": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "context_length_exceeded": 400,
}
"""What the words in `code`, `type` and `status` of OpenAI's, Anthropic's and Google's errors are as
HTTP statuses, where an answer of status 200 or an event holds the error."""


def failure_in(payload: Mapping[str, Any], expert: str) -> MotetError | None:
    """Return the error that a body of status 200, or an event, holds in place of an answer."""
    error = payload.get("error")
    if not error:
        if "choices" in payload and payload.get("object") != "error":
            return None
        bare = "message" in payload or "detail" in payload or payload.get("object") == "error"
        error = payload if bare else None
    return told(error, expert) if error else None


def told(error: Any, expert: str) -> MotetError:
    """Return the error that an error object means which no HTTP status stands beside."""
    fields = _fields(error)
    return failure_from(expert, _status(fields), fields)


def failure_of(expert: str, status: int, body: bytes, headers: Mapping[str, str]) -> MotetError:
    """Return the error that an HTTP answer with `status` of 300 or more means."""
    try:
        payload = parsed_leniently(body)
    except ValueError:
        payload = body[:_MOST_MESSAGE].decode("utf-8", "replace")
    fields = _fields(payload)
    if 300 <= status < 400:
        fields = {"message": f"answers {status}, to go elsewhere; give the URL it should be."}
        status = 502
    return failure_from(expert, status, fields, retry_after(headers))


def failure_from(
    expert: str, status: int, fields: Mapping[str, Any], wait_s: float | None = None
) -> MotetError:
    """Return the error that `status` and OpenAI's error fields mean.

    Parameters
    ----------
    wait_s
        Seconds until another try, where the host says so.
    """
    message = _text(fields.get("message")) or _text(fields.get("detail")) or f"answered {status}"
    message = whole_characters(message[:_MOST_MESSAGE])
    if status in (400, 413) and (overflow := _overflow(expert, message, fields.get("code"))):
        return overflow
    if status in (401, 403):
        return ExpertError(
            expert,
            f"refused our credentials ({status}).",
            hint="Check the expert's api_key in the config.",
        )
    if status in (429, 529):
        return ExpertOverloaded(expert, message, retry_after=1.0 if wait_s is None else wait_s)
    if status == 503:
        return ExpertUnavailable(expert, message, retry_after=wait_s)
    if status in (408, 504):
        return ExpertTimeout(expert, message)
    if 400 <= status < 500:
        return ExpertRejected(expert, message)
    return ExpertError(expert, message, retry_after=wait_s)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that `Retry-After` asks for, at most a day; None where it says no number.

    It may be seconds or a date (RFC 9110); OpenAI's `retry-after-ms` is more exact.
    """
    seconds = _number(headers.get("retry-after-ms"), 1e-3)
    if seconds is None:
        seconds = _number(headers.get("retry-after"))
    if seconds is None:
        try:
            date = email.utils.parsedate_to_datetime(headers.get("retry-after") or "")
            seconds = date.timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(_MOST_WAIT_S, seconds) if seconds >= 0 else None


def _number(text: str | None, unit: float = 1.0) -> float | None:
    try:
        value = float(text or "") * unit
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _fields(error: Any) -> Mapping[str, Any]:
    """Return the error object in an error's body, whatever is wrapped around it."""
    for _ in range(4):
        if isinstance(error, list) and error:
            error = error[0]
        elif isinstance(error, Mapping) and error.get("error"):
            error = error["error"]
        else:
            break
    return error if isinstance(error, Mapping) else {"message": _text(error)}


def _status(fields: Mapping[str, Any]) -> int:
    """Return the HTTP status that error fields name, by number or by word; 500 without one."""
    words = [fields.get(name) for name in ("code", "status", "status_code", "type")]
    for word in words:
        number = word if type(word) is int else None
        if isinstance(word, str) and word.isdecimal() and len(word) == 3:
            number = int(word)
        if number is not None and 400 <= number < 600:
            return number
    known = (_STATUS_OF_WORD.get(word.lower()) for word in words if isinstance(word, str))
    return next((status for status in known if status), 500)


def _text(value: Any) -> str:
    """Return what an error says, in words: also out of the lists that validators send."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, Mapping):
        return next((said for key in _WORDS if (said := _text(value.get(key)))), "")
    if isinstance(value, Iterable):
        return "; ".join(said for item in list(value)[:5] if (said := _text(item)))
    return ""


_WORDS = ("message", "msg", "detail", "error", "reason", "title")


def _overflow(expert: str, message: str, code: Any) -> ContextLengthExceeded | None:
    limit = _LIMIT.search(message)
    if limit is None and code != "context_length_exceeded":
        return None
    numbers = [int(number) for number in _NUMBER.findall(message)]
    bound = int(limit[1]) if limit else min(numbers, default=0)
    # Engines word this in many ways; the total asked for is the largest number in all of them.
    return ContextLengthExceeded(limit=bound, wanted=max([*numbers, bound + 1]), expert=expert)
