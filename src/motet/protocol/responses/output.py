"""The output of a response while it comes in: items one after another, and what happens to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from motet.ids import new_id
from motet.protocol.tool_calls import InTurn
from motet.types import Chunk

Event = dict[str, Any]


class Output:
    """Builds the items of an answer from its chunks.

    Parameters
    ----------
    forms
        How calls of tools are framed, by the function's name: `type`, `name`, maybe `namespace`.

    Attributes
    ----------
    items
        Those that are whole.
    extra
        What the expert sent beside its message that no item has a place for.
    """

    def __init__(self, forms: Mapping[str, Mapping[str, Any]]) -> None:
        self.items: list[dict[str, Any]] = []
        self.extra: dict[str, Any] = {}
        self._forms = forms
        self._calls = InTurn()
        self._open: _Item | None = None

    def add(self, chunk: Chunk) -> list[Event]:
        """Take a chunk; return the events that tell of it."""
        events = [] if self._calls.holds(chunk) else self._said(chunk)
        for call in self._calls.add(chunk.tool_calls, is_last=chunk.finish is not None):
            events += self._call(call)
        for each in self._calls.due():
            events += self._said(each)
        return events

    def _said(self, chunk: Chunk) -> list[Event]:
        """Return the events of all that a chunk says beside its calls of tools."""
        events: list[Event] = []
        if chunk.reasoning:
            events += self._say("reasoning_text", chunk.reasoning)
        # Log-probabilities alone are of a token that is no text yet, or that is part of a call.
        if chunk.text or (chunk.logprobs and self._is_open("message")):
            logprobs = (chunk.logprobs or {}).get("content")
            known = logprobs if isinstance(logprobs, list) else []
            events += self._say("output_text", chunk.text, known)
        beside = dict(chunk.message_extra)
        for thought in beside.pop("reasoning_items", None) or ():
            events += self._thought(thought)
        refusal = beside.pop("refusal", None)
        if isinstance(refusal, str) and refusal:
            events += self._say("refusal", refusal)
        self.extra |= beside
        return events

    def closed(self) -> list[Event]:
        """Let the item that is open be whole; return the events of that."""
        events: list[Event] = []
        for call in self._calls.rest():
            events += self._call(call)
        for chunk in self._calls.due():
            events += self._said(chunk)
        return events + self._close()

    def _close(self) -> list[Event]:
        if self._open is None:
            return []
        events, self._open = self._open.end(), None
        return events

    def _is_open(self, kind: str) -> bool:
        return isinstance(self._open, _Spoken) and self._open.values["type"] == kind

    def _begin(self, item: _Item) -> list[Event]:
        events = self._close()
        self._open = item
        self.items.append(item.values)
        return [*events, item.begin()]

    def _say(self, kind: str, text: str, logprobs: list[Any] | None = None) -> list[Event]:
        """Let the item in which texts of `kind` belong go on with one."""
        events: list[Event] = []
        wanted = "reasoning" if kind == "reasoning_text" else "message"
        if not self._is_open(wanted):
            events = self._begin(_Spoken(len(self.items), wanted))
        assert isinstance(self._open, _Spoken)
        return events + self._open.say(kind, text, logprobs)

    def _thought(self, item: Mapping[str, Any]) -> list[Event]:
        """Let a thought be what its expert will know again."""
        events: list[Event] = []
        if not self._is_open("reasoning"):
            events = self._begin(_Spoken(len(self.items), "reasoning"))
        assert self._open is not None
        self._open.values |= {k: v for k, v in item.items() if k not in ("id", "content", "status")}
        return events + self._close()

    def _call(self, piece: Mapping[str, Any]) -> list[Event]:
        """Let a call of a tool begin or go on."""
        events: list[Event] = []
        if "name" in piece:
            form = self._forms.get(piece["name"], {"name": piece["name"]})
            kind = _CustomCall if form.get("type") == "custom_tool_call" else _FunctionCall
            events = self._begin(kind(len(self.items), piece["id"], form))
        assert isinstance(self._open, _FunctionCall)
        return events + self._open.go_on(piece["arguments"])


class _Item:
    """An output item on its way. `at` is its place among the items."""

    def __init__(self, at: int, prefix: str, kind: str, **values: Any) -> None:
        self.values: dict[str, Any] = {
            "id": new_id(prefix, "_"),
            "type": kind,
            "status": "in_progress",
            **values,
        }
        self._at = at

    def begin(self) -> Event:
        """Return the event of its beginning."""
        item = {**self.values, **{k: [] for k, v in self.values.items() if isinstance(v, list)}}
        return {"type": "response.output_item.added", "output_index": self._at, "item": item}

    def end(self) -> list[Event]:
        """Let it be whole; return the events of that."""
        self.values["status"] = "completed"
        done = {"output_index": self._at, "item": self.values}
        return [{"type": "response.output_item.done", **done}]

    def _told(self, kind: str, **values: Any) -> Event:
        where = {"item_id": self.values["id"], "output_index": self._at}
        return {"type": f"response.{kind}", **where, **values}


class _Spoken(_Item):
    """Words or thoughts: an item of parts."""

    def __init__(self, at: int, kind: str) -> None:
        if kind == "message":
            super().__init__(at, "msg", kind, role="assistant", content=[])
        else:
            super().__init__(at, "rs", kind, summary=[], content=[])
        self._texts: list[str] = []

    def say(self, kind: str, text: str, logprobs: list[Any] | None = None) -> list[Event]:
        """Go on with text of a kind, in a part of its own."""
        parts, events = self.values["content"], []
        if not parts or parts[-1]["type"] != kind:
            events = self._end_part()
            parts.append(_part(kind))
            at = {"content_index": len(parts) - 1, "part": _part(kind)}
            events.append(self._told("content_part.added", **at))
        self._texts.append(text)
        beside = {"logprobs": logprobs or []} if kind == "output_text" else {}
        if logprobs:
            parts[-1]["logprobs"] += logprobs
        delta = {"content_index": len(parts) - 1, "delta": text, **beside}
        return [*events, self._told(f"{kind}.delta", **delta)]

    def end(self) -> list[Event]:
        """Let it be whole, and its last part before."""
        return [*self._end_part(), *super().end()]

    def _end_part(self) -> list[Event]:
        parts = self.values["content"]
        if not parts:
            return []
        part = parts[-1]
        field = "refusal" if part["type"] == "refusal" else "text"
        part[field] = "".join(self._texts)
        self._texts.clear()
        at = {"content_index": len(parts) - 1}
        said = {field: part[field]}
        if "logprobs" in part:
            said["logprobs"] = part["logprobs"]
        return [
            self._told(f"{part['type']}.done", **at, **said),
            self._told("content_part.done", **at, part=part),
        ]


class _FunctionCall(_Item):
    """A call of a function."""

    def __init__(self, at: int, call_id: str, form: Mapping[str, Any]) -> None:
        super().__init__(at, "fc", "function_call", call_id=call_id)
        self.values |= {**form, "arguments": ""}
        self._pieces: list[str] = []

    def go_on(self, arguments: str) -> list[Event]:
        """Take more of its arguments."""
        if not arguments:
            return []
        self._pieces.append(arguments)
        return [self._told("function_call_arguments.delta", delta=arguments)]

    def end(self) -> list[Event]:
        """Let it be whole."""
        said = self.values["arguments"] = "".join(self._pieces)
        done = {"name": self.values["name"], "arguments": said}
        return [self._told("function_call_arguments.done", **done), *super().end()]


class _CustomCall(_FunctionCall):
    """A call of a tool that takes free text, which comes as the one argument of a function."""

    def __init__(self, at: int, call_id: str, form: Mapping[str, Any]) -> None:
        super().__init__(at, call_id, form)
        del self.values["arguments"]
        self.values |= {"id": new_id("ctc", "_"), "input": ""}

    def go_on(self, arguments: str) -> list[Event]:
        """Take more; its text is there once the argument is whole."""
        self._pieces.append(arguments)
        return []

    def end(self) -> list[Event]:
        """Let it be whole."""
        text = self.values["input"] = _text_in("".join(self._pieces))
        return [
            self._told("custom_tool_call_input.delta", delta=text),
            self._told("custom_tool_call_input.done", input=text),
            *_Item.end(self),
        ]


def _part(kind: str) -> dict[str, Any]:
    if kind == "output_text":
        return {"type": kind, "text": "", "annotations": [], "logprobs": []}
    return {"type": kind, ("refusal" if kind == "refusal" else "text"): ""}


def _text_in(arguments: str) -> str:
    """Return the text that a tool is given, or whatever an expert wrote in its place."""
    try:
        values = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments
    said = values.get("input") if isinstance(values, dict) else None
    return said if isinstance(said, str) else arguments
