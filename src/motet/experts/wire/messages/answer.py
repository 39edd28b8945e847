"""The answer of a host that speaks Messages: events, or one message, as chunks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from motet.experts.wire.answer import count_of, rest_of
from motet.experts.wire.base import AnswerReader, kind_of
from motet.types import Chunk, Usage

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_MESSAGE = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"}
)
_INPUT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_USAGE = frozenset({*_INPUT, "output_tokens"})


class MessagesReader(AnswerReader):
    """Reads one answer, a message or the events that build one."""

    def __init__(self, expert: str) -> None:
        super().__init__(expert)
        self._complete = False
        self._usage: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._calls = 0

    @property
    def complete(self) -> bool:
        """Whether the message has said why it ended."""
        return self._complete

    def read(self, payload: Any) -> list[Chunk]:
        """Return the chunks of a message or an event; see `AnswerReader.read`."""
        payload = self.told_in(payload)
        match payload.get("type"):
            case "message":
                return self._message(payload)
            case "message_start":
                self._count(self.object_in(payload.get("message"), "a message").get("usage"))
                return []
            case "content_block_start":
                return self._begin(payload)
            case "content_block_delta":
                return self._delta(payload)
            case "content_block_stop":
                return self._stop(payload.get("index"))
            case "message_delta":
                return self._end(payload)
        return []  # a ping, the end mark, or what is newer than this

    def _message(self, message: Mapping[str, Any]) -> list[Chunk]:
        content = message.get("content")
        if not isinstance(content, list):
            raise self.odd(f"sent content as {kind_of(content)}")
        chunks = []
        for index, block in enumerate(content):
            chunks += self._begin({"index": index, "content_block": block})
            chunks += self._stop(index)
        beside = rest_of(message, _MESSAGE)
        if beside:
            chunks.append(Chunk(answer_extra=beside))
        return chunks + self._end({"delta": message, "usage": message.get("usage")})

    def _begin(self, event: Mapping[str, Any]) -> list[Chunk]:
        block = dict(self.object_in(event.get("content_block"), "a block"))
        self._blocks[_index(event)] = block
        match block.get("type"):
            case "text":
                return [Chunk(text=self.text_in(block, "text"))] if block.get("text") else []
            case "thinking":
                said = self.text_in(block, "thinking")
                return [Chunk(reasoning=said)] if said else []
            case "tool_use":
                block["at"] = self._calls
                self._calls += 1
                function = {"name": self.text_in(block, "name"), "arguments": ""}
                call = {"index": block["at"], "id": self.text_in(block, "id"), "type": "function"}
                return [Chunk(tool_calls=({**call, "function": function},))]
        return []

    def _delta(self, event: Mapping[str, Any]) -> list[Chunk]:
        block = self._blocks.setdefault(_index(event), {})
        delta = self.object_in(event.get("delta"), "a delta")
        match delta.get("type"):
            case "text_delta":
                return [Chunk(text=self.text_in(delta, "text"))]
            case "thinking_delta":
                said = self.text_in(delta, "thinking")
                block["thinking"] = f"{block.get('thinking', '')}{said}"
                return [Chunk(reasoning=said)]
            case "signature_delta":
                block["signature"] = self.text_in(delta, "signature")
            case "input_json_delta":
                block["said"] = True
                return self._arguments(block, self.text_in(delta, "partial_json"))
            case "citations_delta":
                return [Chunk(message_extra={"annotations": [delta.get("citation")]})]
        return []

    def _stop(self, index: Any) -> list[Chunk]:
        block = self._blocks.pop(index if isinstance(index, int) else 0, {})
        match block.get("type"):
            case "tool_use" if not block.get("said"):
                return self._arguments(block, orjson.dumps(block.get("input") or {}).decode())
            case "thinking" | "redacted_thinking":
                return [Chunk(message_extra={"thinking_blocks": [block]})]
            case "text" | "tool_use" | None:
                return []
        return [Chunk(message_extra={"content_parts": [block]})]

    def _arguments(self, block: Mapping[str, Any], said: str) -> list[Chunk]:
        call = {"index": block.get("at", 0), "function": {"arguments": said}}
        return [Chunk(tool_calls=(call,))] if said else []

    def _end(self, event: Mapping[str, Any]) -> list[Chunk]:
        delta = self.object_in(event.get("delta"), "a delta")
        self._count(event.get("usage"))
        chunks = []
        reason = delta.get("stop_reason")
        if isinstance(reason, str):
            self._complete = True
            stop = delta.get("stop_sequence")
            extra = {} if stop is None else {"stop_reason": stop}
            finish = _FINISH.get(reason, reason)
            chunks.append(Chunk(finish=finish, choice_extra=extra))
        return [*chunks, Chunk(usage=self._used())]

    def _count(self, usage: Any) -> None:
        """Take counts; later ones hold, for they are of all until then."""
        self._usage |= self.object_in(usage, "usage")

    def _used(self) -> Usage:
        fresh, written, cached = (count_of(self._usage.get(name)) for name in _INPUT)
        details: dict[str, Any] = dict(rest_of(self._usage, _USAGE))
        if cached or written:
            counts = {"cached_tokens": cached, "cache_write_tokens": written}
            details["prompt_tokens_details"] = counts
        return Usage(fresh + written + cached, count_of(self._usage.get("output_tokens")), details)


def _index(event: Mapping[str, Any]) -> int:
    index = event.get("index")
    return index if isinstance(index, int) else 0
