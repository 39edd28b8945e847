"""Chunks and errors to OpenAI's JSON: whole bodies and stream events, chat and completions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from motet.errors import MotetError
from motet.types import Chunk, Usage, new_id


@dataclass
class Choice:
    """One choice of an unstreamed answer while its chunks come in."""

    texts: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    tool_calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    logprobs: dict[str, list[Any]] = field(default_factory=dict)
    finish: str | None = None

    def add(self, chunk: Chunk) -> None:
        """Append what `chunk` brings."""
        if chunk.text:
            self.texts.append(chunk.text)
        if chunk.reasoning:
            self.reasoning.append(chunk.reasoning)
        for position, call in enumerate(chunk.tool_calls):
            _merge_tool_call(self.tool_calls, call, position)
        for name, values in (chunk.logprobs or {}).items():
            if isinstance(values, list):
                self.logprobs.setdefault(name, []).extend(values)
        self.finish = chunk.finish or self.finish


def _merge_tool_call(
    calls: dict[int, dict[str, Any]], delta: Mapping[str, Any], position: int
) -> None:
    """Join a tool call's pieces: names come once, arguments in fragments."""
    call = calls.setdefault(
        delta.get("index", position),
        {"id": "", "type": "function", "function": {"name": "", "arguments": ""}},
    )
    call["id"] = delta.get("id") or call["id"]
    function = delta.get("function") or {}
    call["function"]["name"] += function.get("name") or ""
    call["function"]["arguments"] += function.get("arguments") or ""


class ChatEncoder:
    """OpenAI's chat completion objects.

    Parameters
    ----------
    id, created
        The answer's id and its Unix time in seconds; new ones when absent.
    """

    prefix = "chatcmpl"
    kind = "chat.completion"
    chunk_kind = "chat.completion.chunk"

    def __init__(self, id: str | None = None, created: int | None = None) -> None:
        self._head = {
            "id": id or new_id(self.prefix),
            "created": int(time.time()) if created is None else created,
        }
        self._begun: set[int] = set()

    def body(
        self, choices: Mapping[int, Choice], usage: Usage, model: str, motet: Any = None
    ) -> bytes:
        """Return the whole answer as one JSON object; `motet` is the explanation, if wanted."""
        body = {
            **self._head,
            "object": self.kind,
            "model": model,
            "choices": [self._choice(index, choices[index]) for index in sorted(choices)],
            "usage": usage_json(usage),
        }
        if motet is not None:
            body["motet"] = motet
        return orjson.dumps(body)

    def event(self, chunk: Chunk, model: str) -> bytes:
        """Return the stream event of `chunk`; empty when it holds nothing for the client."""
        if chunk.is_usage_alone:
            return b""
        return self._event(model, [self._delta(chunk)])

    def last(self, model: str, usage: Usage | None, motet: Any = None) -> bytes:
        """Return the event after the last piece: usage and explanation, as far as wanted."""
        extra: dict[str, Any] = {}
        if usage is not None:
            extra["usage"] = usage_json(usage)
        if motet is not None:
            extra["motet"] = motet
        return self._event(model, [], extra) if extra else b""

    def _event(self, model: str, choices: list[Any], extra: Mapping[str, Any] = {}) -> bytes:
        payload = {
            **self._head,
            "object": self.chunk_kind,
            "model": model,
            "choices": choices,
            **extra,
        }
        return b"data: " + orjson.dumps(payload) + b"\n\n"

    def _delta(self, chunk: Chunk) -> dict[str, Any]:
        delta: dict[str, Any] = {}
        if chunk.index not in self._begun:
            self._begun.add(chunk.index)
            delta = {"role": "assistant", "content": ""}
        if chunk.text:
            delta["content"] = chunk.text
        if chunk.reasoning:
            delta["reasoning_content"] = chunk.reasoning
        if chunk.tool_calls:
            delta["tool_calls"] = chunk.tool_calls
        return {
            "index": chunk.index,
            "delta": delta,
            "logprobs": chunk.logprobs,
            "finish_reason": chunk.finish,
        }

    def _choice(self, index: int, choice: Choice) -> dict[str, Any]:
        text = "".join(choice.texts)
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if choice.reasoning:
            message["reasoning_content"] = "".join(choice.reasoning)
        if choice.tool_calls:
            message["tool_calls"] = list(choice.tool_calls.values())
            message["content"] = text or None
        return {
            "index": index,
            "message": message,
            "logprobs": choice.logprobs or None,
            "finish_reason": choice.finish or "stop",
        }


class CompletionEncoder(ChatEncoder):
    """OpenAI's text completion objects."""

    prefix = "cmpl"
    kind = "text_completion"
    chunk_kind = "text_completion"

    def _delta(self, chunk: Chunk) -> dict[str, Any]:
        return {
            "index": chunk.index,
            "text": chunk.text,
            "logprobs": chunk.logprobs,
            "finish_reason": chunk.finish,
        }

    def _choice(self, index: int, choice: Choice) -> dict[str, Any]:
        return {
            "index": index,
            "text": "".join(choice.texts),
            "logprobs": choice.logprobs or None,
            "finish_reason": choice.finish or "stop",
        }


def usage_json(usage: Usage) -> dict[str, int]:
    """Return OpenAI's usage object."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }


def error_fields(
    message: str, kind: str, code: str | None = None, param: str | None = None
) -> dict[str, Any]:
    """Return OpenAI's error object."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_of(error: MotetError) -> dict[str, Any]:
    """Return the error object of an error of Motet's."""
    return error_fields(str(error), error.type, error.code, error.param)
