"""Chat completions: what clients send, and the objects and events they read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, Field

from motet.errors import MotetError
from motet.ids import new_id
from motet.protocol.body import PromptBody
from motet.protocol.chat_messages import format_of, messages_of, tool_choice_of, tools_of
from motet.protocol.errors import error_body
from motet.protocol.frames import DONE, Framer, event
from motet.types import ANYBODY, Caller, Chunk, Request, Usage
from motet.whole import Joined, Whole


class ChatBody(PromptBody):
    """`POST /v1/chat/completions` and `POST /v1/route`."""

    prefix = "chatcmpl-"

    messages: Annotated[list[Any], AfterValidator(messages_of)] = Field(
        min_length=1, description="OpenAI's messages; parts and roles unknown here go on untouched."
    )
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: Annotated[list[Any], Field(max_length=128), AfterValidator(tools_of)] | None = None
    tool_choice: Annotated[Any, AfterValidator(tool_choice_of)] = None
    response_format: Annotated[Any, AfterValidator(format_of)] = None
    metadata: dict[str, str] | None = None

    def request(self, caller: Caller = ANYBODY, id: str | None = None) -> Request:
        """Return the request this body asks for."""
        return Request(
            **self.shared(caller, id),
            messages=tuple(self.messages),
            top_logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            tools=tuple(self.tools or ()),
            tool_choice=self.tool_choice,
            response_format=self.response_format,
            metadata=self.metadata or {},
        )

    def framer(self, id: str | None = None, created: int | None = None) -> ChatFramer:
        """Return what frames one answer to this body."""
        return ChatFramer(id or new_id(self.prefix, ""), created, include_usage=self.include_usage)


class ChatFramer(Framer):
    """OpenAI's chat completion objects.

    Parameters
    ----------
    id
        The answer's id.
    created
        Its Unix time in seconds; now when absent.
    include_usage
        Whether a stream ends with the tokens it took.
    """

    kind = "chat.completion"
    chunk_kind = "chat.completion.chunk"

    def __init__(self, id: str, created: int | None = None, *, include_usage: bool = False) -> None:
        self._head = {"id": id, "created": int(time.time()) if created is None else created}
        self._include_usage = include_usage
        self._begun: set[int] = set()

    def piece(self, chunk: Chunk, author: str) -> bytes:
        """Return the event of `chunk`; empty when it holds nothing for the client."""
        if chunk.is_usage_alone:
            return b""
        return self._event(author, [self._delta(chunk)], chunk.answer_extra)

    def error(self, error: MotetError) -> bytes:
        """Return the error as an event, and the end mark."""
        return event(error_body(error)) + event(DONE)

    def last(self, author: str, usage: Usage, explanation: Any) -> bytes:
        """Return usage and explanation, as far as wanted, and the end mark."""
        extra: dict[str, Any] = {}
        if self._include_usage:
            extra["usage"] = usage_json(usage)
        if explanation is not None:
            extra["motet"] = explanation
        return (self._event(author, [], extra) if extra else b"") + event(DONE)

    def whole(self, answer: Whole, author: str, usage: Usage, explanation: Any) -> bytes:
        """Return the answer as one JSON object."""
        body = {
            **answer.extra,
            **self._head,
            "object": self.kind,
            "model": author,
            "choices": [self._choice(i, answer.choices[i]) for i in sorted(answer.choices)],
            "usage": usage_json(usage),
        }
        if explanation is not None:
            body["motet"] = explanation
        return orjson.dumps(body)

    def _event(self, author: str, choices: list[Any], extra: Mapping[str, Any] = {}) -> bytes:
        payload = {
            **extra,
            **self._head,
            "object": self.chunk_kind,
            "model": author,
            "choices": choices,
        }
        return event(orjson.dumps(payload))

    def _delta(self, chunk: Chunk) -> dict[str, Any]:
        delta: dict[str, Any] = {}
        if chunk.index not in self._begun:
            self._begun.add(chunk.index)
            delta = {"role": "assistant", "content": ""}
        delta.update(chunk.message_extra)
        if chunk.text:
            delta["content"] = chunk.text
        if chunk.reasoning:
            delta["reasoning_content"] = chunk.reasoning
        if chunk.tool_calls:
            delta["tool_calls"] = chunk.tool_calls
        return {
            **chunk.choice_extra,
            "index": chunk.index,
            "delta": delta,
            "logprobs": chunk.logprobs,
            "finish_reason": chunk.finish,
        }

    def _choice(self, index: int, choice: Joined) -> dict[str, Any]:
        text = choice.text
        message: dict[str, Any] = {
            "refusal": None,
            **choice.message_extra,
            "role": "assistant",
            "content": text,
        }
        if choice.reasoning:
            message["reasoning_content"] = "".join(choice.reasoning)
        if choice.tool_calls:
            message["tool_calls"] = choice.whole_tool_calls
        if choice.tool_calls or choice.message_extra:
            message["content"] = text or None
        return {
            **choice.choice_extra,
            "index": index,
            "message": message,
            "logprobs": choice.logprobs or None,
            "finish_reason": choice.finish or "stop",
        }


def usage_json(usage: Usage) -> dict[str, Any]:
    """Return OpenAI's usage object."""
    return {
        **usage.details,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
