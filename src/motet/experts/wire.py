"""OpenAI's wire format on the way out to an expert and back.

Shared by every engine that speaks it: remote URLs and vLLM pools.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from motet.errors import (
    ContextLengthExceeded,
    ExpertError,
    ExpertOverloaded,
    ExpertRejected,
    ExpertTimeout,
    ExpertUnavailable,
    MotetError,
)
from motet.types import Chunk, Request, Usage

_LIMIT = re.compile(r"(?:maximum context length\D{0,20}|max_model_len\W{0,3})(\d+)", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")


def body_of(request: Request, model: str) -> dict[str, Any]:
    """Return the JSON body that asks `model` to answer `request`."""
    body: dict[str, Any] = {**request.extra, "model": model}
    if request.prompt is not None:
        body["prompt"] = request.prompt
        if request.top_logprobs is not None:
            body["logprobs"] = request.top_logprobs
    else:
        body["messages"] = list(request.messages)
        if request.top_logprobs is not None:
            body["logprobs"] = True
            body["top_logprobs"] = request.top_logprobs
    optional = {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "tool_choice": request.tool_choice if request.tools else None,
        "response_format": request.response_format,
        "user": request.user,
    }
    body.update({name: value for name, value in optional.items() if value is not None})
    if request.n != 1:
        body["n"] = request.n
    if request.stop:
        body["stop"] = list(request.stop)
    if request.tools:
        body["tools"] = list(request.tools)
    if request.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return body


def chunks_of(payload: Mapping[str, Any]) -> Iterator[Chunk]:
    """Yield the chunks in one response body or one stream event, chat or completion."""
    for choice in payload.get("choices") or ():
        part = choice.get("delta") or choice.get("message") or {}
        yield Chunk(
            index=choice.get("index", 0),
            text=part.get("content") or choice.get("text") or part.get("refusal") or "",
            reasoning=part.get("reasoning_content") or part.get("reasoning") or "",
            tool_calls=tuple(part.get("tool_calls") or ()),
            logprobs=choice.get("logprobs"),
            finish=choice.get("finish_reason"),
        )
    if usage := payload.get("usage"):
        yield Chunk(usage=Usage(usage.get("prompt_tokens", 0), usage.get("completion_tokens") or 0))


def event_data(buffer: bytearray) -> Iterator[bytes]:
    """Take every complete `data:` line out of `buffer` and yield what follows the colon."""
    end = buffer.rfind(b"\n")
    if end < 0:
        return
    block = bytes(buffer[:end])
    del buffer[: end + 1]
    for line in block.split(b"\n"):
        if line.startswith(b"data:"):
            yield line[5:].strip()


def error_in(payload: Mapping[str, Any], expert: str) -> MotetError | None:
    """Return the error that a stream event carries in place of choices, if it carries one."""
    error = payload.get("error")
    if error is None:
        return None
    fields = error if isinstance(error, Mapping) else {"message": str(error)}
    status = fields.get("code") if isinstance(fields.get("code"), int) else 500
    return error_from(expert, int(status or 500), fields)


def error_of(expert: str, status: int, body: bytes, retry_after: str | None) -> MotetError:
    """Return the error that an HTTP answer with `status` of 400 or more means."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        payload = None
    error = payload.get("error", payload) if isinstance(payload, dict) else None
    fields = (
        error if isinstance(error, Mapping) else {"message": body[:500].decode("utf-8", "replace")}
    )
    return error_from(expert, status, fields, _seconds(retry_after))


def error_from(
    expert: str, status: int, fields: Mapping[str, Any], retry_after: float | None = None
) -> MotetError:
    """Return the error that `status` and OpenAI's error fields mean."""
    message = str(fields.get("message") or fields.get("detail") or f"answered {status}")
    if status == 400 and (overflow := _context_overflow(expert, message, fields.get("code"))):
        return overflow
    if status in (401, 403):
        return ExpertError(
            expert,
            f"refused our credentials ({status}).",
            hint="Check the expert's api_key in the config.",
        )
    if status == 429:
        return ExpertOverloaded(expert, message, retry_after=retry_after or 1.0)
    if status == 503:
        return ExpertUnavailable(expert, message, retry_after=retry_after)
    if status in (408, 504):
        return ExpertTimeout(expert, message)
    if 400 <= status < 500:
        return ExpertRejected(expert, message)
    return ExpertError(expert, message)


def _context_overflow(expert: str, message: str, code: Any) -> ContextLengthExceeded | None:
    limit = _LIMIT.search(message)
    if limit is None and code != "context_length_exceeded":
        return None
    numbers = [int(number) for number in _NUMBER.findall(message)]
    bound = int(limit[1]) if limit else min(numbers, default=0)
    # Engines word this in many ways; the total asked for is the largest number in all of them.
    return ContextLengthExceeded(limit=bound, wanted=max([*numbers, bound + 1]), expert=expert)


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value is not None else None
    except ValueError:
        return None
