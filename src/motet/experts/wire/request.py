"""The body that asks an expert."""

from __future__ import annotations

from typing import Any

from motet.types import Message, Request

_NOT_CHAT = frozenset({"thinking_blocks", "reasoning_items", "is_error", "cache_control"})
"""What other protocols say beside a message, and chat has no words for."""


def body_of(request: Request, model: str) -> dict[str, Any]:
    """Return the JSON body that asks `model` to answer `request`."""
    body: dict[str, Any] = {**request.extra, "model": model}
    if request.prompt is not None:
        body["prompt"] = list(request.prompt_ids) or request.prompt
        if request.top_logprobs is not None:
            body["logprobs"] = request.top_logprobs
    else:
        body["messages"] = list(
            map(_as_chat, request.messages) if request.native else request.messages
        )
        if request.top_logprobs is not None:
            body["logprobs"] = True
            body["top_logprobs"] = request.top_logprobs
    optional = {
        request.max_tokens_name: request.max_tokens,
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


def _as_chat(message: Message) -> Message:
    """Return a message that came by another protocol without what only that can say."""
    if _NOT_CHAT.isdisjoint(message):
        return message
    return {name: value for name, value in message.items() if name not in _NOT_CHAT}
