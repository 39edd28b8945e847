"""One expert call, and what routers call experts through."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from motet.types.answer import Usage
from motet.types.request import Request
from motet.types.span import SpanContext


class Purpose(StrEnum):
    """What an expert is asked for."""

    ROUTE = "route"
    ANSWER = "answer"
    COMPOSE = "compose"
    SCREEN = "screen"


@dataclass(slots=True)
class Call:
    """One expert call in the trace of a request; times are seconds since the request began.

    Attributes
    ----------
    purpose
        `route` where a router or a strategy asked in order to decide, `screen` where a text was to
        be judged, `compose` where a composition answers in the place of an expert: its own calls
        stand below it, with all that they took.
    parent
        The place in the trace of the composition that made it; None for the one that was asked.
    finish
        Why its last choice ended, as in `Chunk`; None where none did.
    code
        What the failure is counted as, where there is one; it never quotes anybody.
    draft
        The answer, where a strategy worked on it instead of sending it on.
    fused
        Who answered together in latent space, the primary first; empty where nobody did.
    span
        Its span, where traces are kept.
    """

    expert: str
    started: float
    first_chunk: float | None = None
    finished: float | None = None
    usage: Usage = field(default_factory=Usage)
    cost_usd: float = 0.0
    finish: str | None = None
    error: str | None = None
    code: str | None = None
    draft: str | None = None
    fused: tuple[str, ...] = ()
    purpose: Purpose = Purpose.ANSWER
    parent: int | None = None
    span: SpanContext | None = None

    @property
    def answered(self) -> bool:
        """Whether the call has produced anything and has not failed."""
        return self.first_chunk is not None and self.error is None


class Asks(Protocol):
    """What a router asks experts through: the request's own budget, deadline and trace."""

    async def ask(self, expert: str, request: Request) -> str:
        """Return the text that `expert` answers.

        Raises
        ------
        BudgetExceeded
            The calls, tokens or cost left do not allow it.
        ExpertError
            It failed.
        """
