"""What an expert has answered to one call, in a form that is kept and played again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import orjson

from motet import errors
from motet.errors import MotetError
from motet.protocol.encode import Choice
from motet.types import Chunk, Usage


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished call.

    Attributes
    ----------
    chunks
        What was said, a chunk for each choice.
    error
        How the call failed, after `chunks`; None when it did not.
    """

    chunks: tuple[Chunk, ...] = ()
    usage: Usage = field(default_factory=Usage)
    error: MotetError | None = None

    @classmethod
    def of(cls, chunks: Iterable[Chunk], error: MotetError | None = None) -> Self:
        """Return the answer that was streamed as `chunks`, each choice joined to one piece."""
        choices: dict[int, Choice] = defaultdict(Choice)
        usage = Usage()
        for chunk in chunks:
            usage = chunk.usage or usage
            if not chunk.is_usage_alone:
                choices[chunk.index].add(chunk)
        return cls(tuple(_joined(i, choices[i]) for i in sorted(choices)), usage, error)

    def dump(self) -> bytes:
        """Return the answer as JSON."""
        fault = None
        if self.error is not None:
            fault = {"kind": _known_kind(self.error).__name__, "state": self.error.__dict__}
        fields = {
            "chunks": [asdict(chunk) for chunk in self.chunks],
            "usage": asdict(self.usage),
            "error": fault,
        }
        return orjson.dumps(fields)

    @classmethod
    def load(cls, content: bytes) -> Self:
        """Return the answer that `dump` wrote."""
        fields = orjson.loads(content)
        fault = fields["error"]
        return cls(
            tuple(_chunk(values) for values in fields["chunks"]),
            Usage(**fields["usage"]),
            fault and errors.restore(getattr(errors, fault["kind"]), fault["state"]),
        )


def _joined(index: int, choice: Choice) -> Chunk:
    return Chunk(
        index=index,
        text="".join(choice.texts),
        reasoning="".join(choice.reasoning),
        tool_calls=tuple(choice.tool_calls.values()),
        logprobs=choice.logprobs or None,
        finish=choice.finish,
    )


def _chunk(values: dict[str, Any]) -> Chunk:
    return Chunk(**{**values, "tool_calls": tuple(values["tool_calls"])})


def _known_kind(error: MotetError) -> type[MotetError]:
    """Return the error's class, or the nearest above it that Motet defines itself."""
    kinds = (k for k in type(error).__mro__ if getattr(errors, k.__name__, None) is k)
    found: type[MotetError] = next(kind for kind in kinds if issubclass(kind, MotetError))
    return found
