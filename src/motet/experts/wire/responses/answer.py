"""The answer of a host that speaks Responses: events, or one response, as chunks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motet.experts.wire.answer import count_of, rest_of
from motet.experts.wire.base import AnswerReader, kind_of
from motet.experts.wire.failure import told
from motet.types import Chunk, Usage

_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}
_USAGE = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "input_tokens_details",
        "output_tokens_details",
    }
)
_SPOKEN = ("message", "function_call", "reasoning")


class ResponsesReader(AnswerReader):
    """Reads one answer, a response or the events that build one."""

    def __init__(self, expert: str) -> None:
        super().__init__(expert)
        self._complete = False
        self._calls: dict[int, int] = {}

    @property
    def complete(self) -> bool:
        """Whether the response has come to its end."""
        return self._complete

    def read(self, payload: Any) -> list[Chunk]:
        """Return the chunks of a response or an event; see `AnswerReader.read`."""
        payload = self.told_in(payload)
        if payload.get("object") == "response":
            return self._whole(payload)
        match payload.get("type"):
            case "error":
                raise told(payload, self.expert)
            case "response.output_text.delta":
                logprobs = payload.get("logprobs")
                said = {"content": logprobs} if isinstance(logprobs, list) and logprobs else None
                return [Chunk(text=self.text_in(payload, "delta"), logprobs=said)]
            case "response.refusal.delta":
                return [Chunk(message_extra={"refusal": self.text_in(payload, "delta")})]
            case "response.reasoning_text.delta" | "response.reasoning_summary_text.delta":
                return [Chunk(reasoning=self.text_in(payload, "delta"))]
            case "response.output_item.added":
                return self._begin(payload)
            case "response.function_call_arguments.delta":
                return self._arguments(_place(payload), self.text_in(payload, "delta"))
            case "response.output_item.done":
                return self._done(self.object_in(payload.get("item"), "an item"))
            case "response.completed" | "response.incomplete" | "response.failed":
                return self._end(self.object_in(payload.get("response"), "a response"))
        return []

    def _whole(self, response: Mapping[str, Any]) -> list[Chunk]:
        output = response.get("output")
        if not isinstance(output, list):
            raise self.odd(f"sent output as {kind_of(output)}")
        chunks = []
        for at, item in enumerate(output):
            item = self.object_in(item, "an item")
            chunks += self._begin({"output_index": at, "item": item})
            chunks += self._parts(item)
            if item.get("type") == "function_call":
                chunks += self._arguments(at, self.text_in(item, "arguments"))
            chunks += self._done(item)
        return chunks + self._end(response)

    def _parts(self, item: Mapping[str, Any]) -> list[Chunk]:
        """Return the words and thoughts of a whole item."""
        parts = [*_list(item.get("summary")), *_list(item.get("content"))]
        chunks = []
        for part in parts:
            part = self.object_in(part, "a part")
            match part.get("type"):
                case "output_text":
                    logprobs = _list(part.get("logprobs"))
                    said = {"content": logprobs} if logprobs else None
                    chunks.append(Chunk(text=self.text_in(part, "text"), logprobs=said))
                case "refusal":
                    chunks.append(Chunk(message_extra={"refusal": self.text_in(part, "refusal")}))
                case "reasoning_text" | "summary_text":
                    chunks.append(Chunk(reasoning=self.text_in(part, "text")))
        return chunks

    def _begin(self, event: Mapping[str, Any]) -> list[Chunk]:
        item = self.object_in(event.get("item"), "an item")
        if item.get("type") != "function_call":
            return []
        at = self._calls[_place(event)] = len(self._calls)
        function = {"name": self.text_in(item, "name"), "arguments": ""}
        call = {"index": at, "id": self.text_in(item, "call_id"), "type": "function"}
        return [Chunk(tool_calls=({**call, "function": function},))]

    def _arguments(self, place: int, said: str) -> list[Chunk]:
        call = {"index": self._calls.get(place, 0), "function": {"arguments": said}}
        return [Chunk(tool_calls=(call,))] if said else []

    def _done(self, item: Mapping[str, Any]) -> list[Chunk]:
        """Return what a whole item brings that its pieces did not."""
        kind = item.get("type")
        if kind == "reasoning" and item.get("encrypted_content"):
            return [Chunk(message_extra={"reasoning_items": [dict(item)]})]
        notes = [
            note
            for part in (_list(item.get("content")) if kind == "message" else [])
            for note in _list(self.object_in(part, "a part").get("annotations"))
        ]
        if notes:
            return [Chunk(message_extra={"annotations": notes})]
        return [] if kind in _SPOKEN else [Chunk(message_extra={"output_items": [dict(item)]})]

    def _end(self, response: Mapping[str, Any]) -> list[Chunk]:
        if error := response.get("error"):
            raise told(error, self.expert)
        if response.get("status") == "failed":
            raise self.odd("failed, and does not say why")
        self._complete = True
        details = self.object_in(response.get("incomplete_details"), "details")
        finish = _REASONS.get(str(details.get("reason")))
        finish = finish or ("tool_calls" if self._calls else "stop")
        tier = response.get("service_tier")
        extra = {} if tier is None else {"service_tier": tier}
        return [
            Chunk(finish=finish, answer_extra=extra),
            Chunk(usage=self._usage(response.get("usage"))),
        ]

    def _usage(self, value: Any) -> Usage:
        usage = self.object_in(value, "usage")
        details: dict[str, Any] = dict(rest_of(usage, _USAGE))
        for ours, theirs in (("prompt", "input"), ("completion", "output")):
            if counts := self.object_in(usage.get(f"{theirs}_tokens_details"), "details"):
                details[f"{ours}_tokens_details"] = dict(counts)
        return Usage(
            count_of(usage.get("input_tokens")), count_of(usage.get("output_tokens")), details
        )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _place(event: Mapping[str, Any]) -> int:
    """Return the place of the item that an event is about; the first where it says none."""
    place = event.get("output_index")
    return place if isinstance(place, int) else 0
