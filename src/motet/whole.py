"""A whole answer out of its chunks: the one place where pieces are joined, and where it is read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterable, Iterable, Mapping
from dataclasses import dataclass, field
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
    finish: str | None = None

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
            _merge_tool_call(self.tool_calls, call, position)
        for name, values in (chunk.logprobs or {}).items():
            if isinstance(values, list):
                self.logprobs.setdefault(name, []).extend(values)
        self.finish = chunk.finish or self.finish


@dataclass(slots=True)
class Whole:
    """An answer, choice by choice.

    Attributes
    ----------
    usage
        Tokens, as the last chunk that counts them says.
    """

    choices: dict[int, Joined] = field(default_factory=lambda: defaultdict(Joined))
    usage: Usage = field(default_factory=Usage)

    def add(self, chunk: Chunk) -> None:
        """Append what `chunk` brings."""
        self.usage = chunk.usage or self.usage
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
        return tuple(_chunk(index, self.choices[index]) for index in sorted(self.choices))


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
        tool_calls=tuple(choice.tool_calls.values()),
        logprobs=choice.logprobs or None,
        finish=choice.finish,
    )


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
