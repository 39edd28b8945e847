"""What an expert has answered to one call, in a form that is kept and played again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Self

from motet import codec, errors
from motet.errors import ExpertError, ExpertTimeout, MotetError
from motet.types import Chunk, Usage
from motet.whole import Whole, collect

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Said:
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
    async def of(
        cls, expert: str, stream: AsyncGenerator[Chunk, None], seconds: float | None = None
    ) -> Self:
        """Return what `expert` streams, to its end, its failure, or the end of its time."""
        whole, error = Whole(), None
        try:
            async with asyncio.timeout(seconds) as bound, aclosing(stream):
                await collect(stream, whole)
        except MotetError as failure:
            error = failure
        except TimeoutError as failure:
            log.warning("expert %s did not end: %r", expert, failure)
            late = bound.expired()
            told = f"did not end within {seconds:g} s." if late else "ran out of time."
            error = ExpertTimeout(expert, told)
        except Exception as failure:
            # An engine may fail in ways of its own; one bad line must not stop the others.
            log.exception("expert %s failed", expert)
            error = ExpertError(expert, f"{type(failure).__name__}: {failure}")
        return cls(whole.chunks(), whole.usage, error)

    async def play(self) -> AsyncGenerator[Chunk, None]:
        """Stream it once more."""
        for chunk in self.chunks:
            yield chunk
        if self.error is not None:
            raise self.error
        yield Chunk(usage=self.usage)

    def dump(self) -> bytes:
        """Return it as JSON."""
        fault = None
        if self.error is not None:
            fault = _Fault(_known_kind(self.error).__name__, self.error.__dict__)
        return codec.dump(_KeptCall(self.chunks, self.usage, fault))

    @classmethod
    def load(cls, content: bytes) -> Self:
        """Return what `dump` wrote."""
        kept = codec.load(_KeptCall, content)
        fault = kept.error
        error = None
        if fault is not None:
            error = errors.restore(getattr(errors, fault.kind), fault.state)
        return cls(kept.chunks, kept.usage, error)


@dataclass(frozen=True, slots=True)
class _Fault:
    """An error by the name of its class."""

    kind: str
    state: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _KeptCall:
    """A call as it is kept."""

    chunks: tuple[Chunk, ...]
    usage: Usage
    error: _Fault | None


def _known_kind(error: MotetError) -> type[MotetError]:
    """Return the error's class, or the nearest above it that Motet defines itself."""
    kinds = (k for k in type(error).__mro__ if getattr(errors, k.__name__, None) is k)
    known: type[MotetError] = next(kind for kind in kinds if issubclass(kind, MotetError))
    return known
