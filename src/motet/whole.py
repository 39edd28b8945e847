"""A whole answer out of its chunks: the one place where pieces are joined, and where it is read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from motet.types import Chunk, Usage


@dataclass(slots=True)
class Joined:
    """One choice of an answer while its chunks come in."""

    texts: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    tool_calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    logprobs: dict[str, list[Any]] = field(default_factory=dict)
    values: list[Any] = field(default_factory=list)
    finish: str | None = None
    message_extra: Mapping[str, Any] = field(default_factory=dict)
    choice_extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The words of the choice."""
        return "".join(self.texts)

    def add(self, chunk: Chunk) -> None:
        """Append what `chunk` brings."""
        if chunk.text:
            self.texts.append(chunk.text)
        if chunk.reasoning:
            self.reasoning.append(chunk.reasoning)
        for position, call in enumerate(chunk.tool_calls):
            at = call.get("index", position)
            self.tool_calls[at] = merged(self.tool_calls.get(at, {}), call)
        for name, values in (chunk.logprobs or {}).items():
            if isinstance(values, list):
                self.logprobs.setdefault(name, []).extend(values)
        if chunk.message_extra:
            self.message_extra = merged(self.message_extra, chunk.message_extra)
        if chunk.choice_extra:
            self.choice_extra = merged(self.choice_extra, chunk.choice_extra)
        self.values.extend(chunk.values)
        self.finish = chunk.finish or self.finish

    @property
    def whole_tool_calls(self) -> list[dict[str, Any]]:
        """The tool calls as a message that is no stream holds them: in order, not numbered."""
        return [_tool_call(self.tool_calls[at]) for at in sorted(self.tool_calls)]


@dataclass(slots=True)
class Whole:
    """An answer, choice by choice.

    Attributes
    ----------
    usage
        Tokens, as the last chunk that counts them says.
    extra
        Further fields of the answer as a whole, as its expert sent them last.
    """

    choices: dict[int, Joined] = field(default_factory=lambda: defaultdict(Joined))
    usage: Usage = field(default_factory=Usage)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def add(self, chunk: Chunk) -> None:
        """Append what `chunk` brings."""
        self.usage = chunk.usage or self.usage
        if chunk.answer_extra:
            self.extra = {**self.extra, **chunk.answer_extra}
        if not chunk.is_usage_alone:
            self.choices[chunk.index].add(chunk)

    @property
    def text(self) -> str:
        """The words of the first choice; empty where there is none."""
        return self.choices[0].text if 0 in self.choices else ""

    @property
    def finish(self) -> str:
        """Why the first choice ended."""
        return (self.choices[0].finish if 0 in self.choices else None) or "stop"

    def chunks(self) -> tuple[Chunk, ...]:
        """Return the answer as one chunk for each choice; its usage stands apart."""
        chunks = [_chunk(index, self.choices[index]) for index in sorted(self.choices)]
        if chunks and self.extra:
            chunks[0] = replace(chunks[0], answer_extra=self.extra)
        return tuple(chunks)


async def collect(chunks: AsyncIterable[Chunk], into: Whole | None = None) -> Whole:
    """Return the answer that streams by.

    Parameters
    ----------
    into
        Takes what comes, so that a caller has what was said before a failure.
    """
    whole = Whole() if into is None else into
    async for chunk in chunks:
        whole.add(chunk)
    return whole


def joined(chunks: Iterable[Chunk]) -> Whole:
    """Return the answer that `chunks` make."""
    whole = Whole()
    for chunk in chunks:
        whole.add(chunk)
    return whole


def without_thoughts(text: str) -> str:
    """Return an answer less the `<think>` part that some models put before it.

    A thought that has no end was cut short, so there is no answer behind it.
    """
    _, end, answer = text.rpartition("</think>")
    if end:
        return answer.strip()
    return "" if text.lstrip().startswith("<think>") else text.strip()


def object_in(text: str) -> dict[str, Any]:
    """Return the JSON object in an answer, whatever words stand around it; empty without one."""
    try:
        # Not the standard library's: it would let half a character through, which no JSON of ours
        # can carry on.
        said = orjson.loads(text[text.find("{") : text.rfind("}") + 1])
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _chunk(index: int, choice: Joined) -> Chunk:
    return Chunk(
        index=index,
        text=choice.text,
        reasoning="".join(choice.reasoning),
        tool_calls=tuple(choice.whole_tool_calls),
        logprobs=choice.logprobs or None,
        values=tuple(choice.values),
        finish=choice.finish,
        message_extra=choice.message_extra,
        choice_extra=choice.choice_extra,
    )


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields joined with what a later piece of a stream brings of them.

    Text comes in fragments, but for names, which come whole, once or every time; lists grow;
    objects are joined field by field; of anything else the newest stays.
    """
    both = dict(old)
    for name, value in new.items():
        before = both.get(name)
        if value is None or before is None:
            both[name] = before if value is None else value
        elif isinstance(before, str) and isinstance(value, str):
            both[name] = (before or value) if name in _NAMES else before + value
        elif isinstance(before, list) and isinstance(value, list):
            both[name] = before + value
        elif isinstance(before, Mapping) and isinstance(value, Mapping):
            both[name] = merged(before, value)
        else:
            both[name] = value
    return both


_NAMES = frozenset({"id", "type", "name", "role", "format", "mime_type"})


def _tool_call(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool call with the fields that clients read whatever was sent of it."""
    whole = {"id": "", "type": "custom" if call.get("custom") else "function", **call}
    whole.pop("index", None)
    if whole["type"] == "function":
        whole["function"] = {"name": "", "arguments": "", **(call.get("function") or {})}
    return whole
