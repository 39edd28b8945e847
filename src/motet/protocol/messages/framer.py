"""How an answer looks to clients of Messages: blocks, one after another, and their events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from motet.errors import MotetError
from motet.ids import new_id
from motet.protocol.frames import Framer, event
from motet.protocol.messages.errors import error_body
from motet.protocol.tool_calls import InTurn
from motet.types import Chunk, Usage
from motet.whole import Joined, Whole

_REASONS = {
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}

_PLACED = ("refusal", "thinking_blocks")
"""What an expert sends beside its words that has a place in a message."""


class MessagesFramer(Framer):
    """Anthropic's message objects and events.

    Parameters
    ----------
    id
        The answer's id.
    count
        Returns about how many tokens the prompt has, for a stream's first event; its last has the
        number that the expert counted.
    stops
        The texts that end the answer, to say which one did.
    """

    keep_alive = event(b'{"type":"ping"}', "ping")

    def __init__(self, id: str, count: Callable[[], int], stops: tuple[str, ...] = ()) -> None:
        self._id = id
        self._count = count
        self._stops = stops
        self._blocks = 0
        self._open = ""  # the kind of the block that is open
        self._calls = InTurn()
        self._end = _End(stops)

    @property
    def headers(self) -> Mapping[str, str]:
        """What a client reads of an answer before its body."""
        return {"request-id": self._id.replace("msg_", "req_", 1)}

    def first(self, author: str) -> bytes:
        """Return the beginning of the message."""
        usage = {"input_tokens": self._count(), "output_tokens": 0}
        message = {**self._head(author), "content": [], **_End().fields, "usage": usage}
        return _event("message_start", message=message)

    def piece(self, chunk: Chunk, author: str) -> bytes:
        """Return the events of `chunk`: the blocks that it begins, goes on with, and ends.

        There is one answer; what an expert sends of others is nothing.
        """
        if chunk.index:
            return b""
        self._end.add(chunk)
        frames = b"" if self._calls.holds(chunk) else self._said(chunk)
        for call in self._calls.add(chunk.tool_calls, is_last=chunk.finish is not None):
            frames += self._tool_use(call)
        return frames + b"".join(map(self._said, self._calls.due()))

    def _said(self, chunk: Chunk) -> bytes:
        """Return the events of all that a chunk says beside its calls of tools."""
        frames = b""
        if chunk.reasoning:
            frames += self._in("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            frames += self._delta("thinking_delta", thinking=chunk.reasoning)
        for thought in chunk.message_extra.get("thinking_blocks") or ():
            frames += self._thought(thought)
        if text := _words(chunk):
            frames += self._in("text", {"type": "text", "text": ""})
            frames += self._delta("text_delta", text=text)
        return frames

    def error(self, error: MotetError) -> bytes:
        """Return the error as an event, with which the stream ends."""
        return event(error_body(error), "error")

    def last(self, author: str, usage: Usage, explanation: Any) -> bytes:
        """Return what is still open of the message, why it ended, and its tokens."""
        frames = b"".join(map(self._tool_use, self._calls.rest()))
        frames += b"".join(map(self._said, self._calls.due())) + self._closed()
        beside = {} if explanation is None else {"motet": explanation}
        frames += _event(
            "message_delta",
            delta=self._end.fields,
            usage=usage_json(usage),
            **self._end.extra,
            **beside,
        )
        return frames + _event("message_stop")

    def whole(self, answer: Whole, author: str, usage: Usage, explanation: Any) -> bytes:
        """Return the answer as one message."""
        choice = answer.choices[0] if answer.choices else Joined()
        self._end.take(choice)
        body = {
            **answer.extra,
            **self._end.extra,
            **self._head(author),
            "content": list(_blocks(choice)),
            **self._end.fields,
            "usage": usage_json(usage),
        }
        if explanation is not None:
            body["motet"] = explanation
        return orjson.dumps(body)

    def _head(self, author: str) -> dict[str, Any]:
        return {"id": self._id, "type": "message", "role": "assistant", "model": author}

    def _in(self, kind: str, block: dict[str, Any]) -> bytes:
        """Return what leads into a block of `kind`: nothing where it is open."""
        if self._open == kind:
            return b""
        closed = self._closed()
        self._open = kind
        return closed + _event("content_block_start", index=self._blocks, content_block=block)

    def _thought(self, thought: Mapping[str, Any]) -> bytes:
        """Return the end of a thought whose words are out, with what its expert knows it by."""
        if thought.get("type") == "thinking" and self._open == "thinking":
            return self._closed(thought.get("signature") or "")
        self._open, closed = "", self._closed()
        block = _event("content_block_start", index=self._blocks, content_block=thought)
        block += _event("content_block_stop", index=self._blocks)
        self._blocks += 1
        return closed + block

    def _closed(self, signature: str = "") -> bytes:
        """Return the end of the block that is open."""
        if not self._open:
            return b""
        is_thought = self._open == "thinking"
        frames = self._delta("signature_delta", signature=signature) if is_thought else b""
        frames += _event("content_block_stop", index=self._blocks)
        self._open = ""
        self._blocks += 1
        return frames

    def _delta(self, kind: str, **values: str) -> bytes:
        return _event("content_block_delta", index=self._blocks, delta={"type": kind, **values})

    def _tool_use(self, call: Mapping[str, Any]) -> bytes:
        frames = b""
        if "name" in call:  # its first piece
            frames += self._closed()
            block = {"type": "tool_use", "id": call["id"], "name": call["name"], "input": {}}
            frames += self._in("tool_use", block)
        return frames + self._delta("input_json_delta", partial_json=call["arguments"])


class _End:
    """Why a message ended, and what it brought that Messages has no place for.

    Parameters
    ----------
    stops
        The texts that may have ended it.
    """

    def __init__(self, stops: tuple[str, ...] = ()) -> None:
        self.extra: dict[str, Any] = {}
        self._stops = stops
        self._finish: str | None = None
        self._matched: Any = None
        self._has_calls = False

    def add(self, chunk: Chunk) -> None:
        """Note what a chunk says of it."""
        self._finish = chunk.finish or self._finish
        self._has_calls = self._has_calls or bool(chunk.tool_calls)
        self._see(chunk.message_extra, chunk.choice_extra)

    def take(self, choice: Joined) -> None:
        """Note what a whole answer says of it."""
        self._finish = choice.finish or "stop"
        self._has_calls = bool(choice.tool_calls)
        self._see(choice.message_extra, choice.choice_extra)

    def _see(self, message: Mapping[str, Any], choice: Mapping[str, Any]) -> None:
        if message.get("refusal"):
            self._finish = "content_filter"
        self.extra |= {name: value for name, value in message.items() if name not in _PLACED}
        # How vLLM says which text it was (`stop_reason` of a choice).
        self._matched = choice.get("stop_reason", self._matched)

    @property
    def fields(self) -> dict[str, Any]:
        """The two fields that say so."""
        reason = None if self._finish is None else _REASONS.get(self._finish, "end_turn")
        if reason == "end_turn" and self._has_calls:
            reason = "tool_use"  # engines say `stop` where a tool was named by the client
        if reason == "end_turn" and self._matched in self._stops:
            return {"stop_reason": "stop_sequence", "stop_sequence": self._matched}
        return {"stop_reason": reason, "stop_sequence": None}


def usage_json(usage: Usage) -> dict[str, Any]:
    """Return Anthropic's usage object, which counts cached tokens beside those that were read."""
    cached, written = usage.cached_tokens, usage.cache_write_tokens
    return {
        "input_tokens": max(0, usage.prompt_tokens - cached - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.completion_tokens,
    }


def _words(chunk: Chunk) -> str:
    """Return the words of a chunk; a refusal is words too."""
    refusal = chunk.message_extra.get("refusal")
    return chunk.text + refusal if isinstance(refusal, str) else chunk.text


def _blocks(choice: Joined) -> Iterator[dict[str, Any]]:
    thoughts = choice.message_extra.get("thinking_blocks")
    if thoughts:
        yield from thoughts
    elif choice.reasoning:
        yield {"type": "thinking", "thinking": "".join(choice.reasoning), "signature": ""}
    refusal = choice.message_extra.get("refusal")
    if text := choice.text + (refusal if isinstance(refusal, str) else ""):
        yield {"type": "text", "text": text}
    for call in choice.whole_tool_calls:
        function = call.get("function") or {}
        yield {
            "type": "tool_use",
            "id": call["id"] or new_id("toolu", "_"),
            "name": function.get("name", ""),
            "input": _input(function.get("arguments") or "{}"),
        }


def _input(arguments: str) -> dict[str, Any]:
    """Return a tool's arguments as an object; those that are none are kept as they are written."""
    try:
        values = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        values = None
    return values if isinstance(values, dict) else {"INVALID_JSON": arguments}


def _event(kind: str, **values: Any) -> bytes:
    return event(orjson.dumps({"type": kind, **values}), kind)
