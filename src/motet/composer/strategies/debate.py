"""Rounds in which each author reads what the others answered, until they agree.

Source: multi-agent debate (arXiv:2305.14325); the sparse form is that of arXiv:2406.11776.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from motet.composer.calls import Calls, Draft
from motet.composer.relay import verdict
from motet.composer.strategies.ballot import Form, leader, normal
from motet.composer.strategies.base import Strategy
from motet.composer.strategies.panel import Seat, drafts, panel_of, seats
from motet.composer.strategies.synthesis import synthesis
from motet.config import Options
from motet.errors import BudgetExceeded, MotetError, UnsupportedRequest
from motet.types import Chunk, Decision, Request

_ASK = """\
{drafts}

These are {count} answers of others to the request above; any may be wrong, also your own. Think \
it over once more, and give the right answer in the form that the request asks for."""


class DebateConfig(Options):
    """Options of `kind: debate`."""

    experts: int = Field(default=3, ge=2, le=16)
    """Authors: the decision's experts in order, one of them more often where it has fewer."""
    rounds: int = Field(default=2, ge=1, le=8)
    """Most rounds after the first answers; none where all agree."""
    sees: Literal["all", "next"] = "all"
    """Whose answers an author reads: those of all others, or of the one after it, which costs
    fewer tokens."""
    answer: Form = "auto"
    """What answers are compared by; as in `vote`."""
    temperature: NonNegativeFloat = 0.7
    """How freely words are drawn by an expert that is several authors."""
    draft_s: PositiveFloat = 60.0
    """Seconds an answer may take; who is later keeps the one before."""


class DebateStrategy(Strategy):
    """Collects answers, shows each author the others', and sends what most say in the end.

    An author that fails keeps its last answer, and leaves where it has none. When the budget is
    used up, the answers that are there are voted on.
    """

    Config = DebateConfig
    options: DebateConfig

    def stages(self, decision: Decision) -> tuple[tuple[str, ...], ...]:
        """Return the authors once for each round, as if they never agreed."""
        return (tuple(dict.fromkeys(self._authors(decision))),) * (1 + self.options.rounds)

    async def run(
        self, request: Request, decision: Decision, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Debate, and send the words of the first author of the answer that most give."""
        if request.prompt is not None or request.n > 1 or request.tools:
            raise UnsupportedRequest(
                "A debate gives one answer to a chat, in words: ask without n and tools."
            )
        placed = seats(request, self._authors(decision), self.options.temperature)
        said: dict[int, Draft] = {}
        await self._round(placed, calls, said)
        for _ in range(self.options.rounds):
            if self._agree(said):
                break
            asked = [
                Seat(seat.expert, synthesis(seat.request, self._read(number, said), _ASK))
                for number, seat in enumerate(placed)
                if number in said
            ]
            numbers = sorted(said)
            before = len(calls.trace)
            try:
                await self._round(asked, calls, said, numbers)
            except BudgetExceeded:
                break
            if all(call.error for call in calls.trace[before:]):
                break  # nobody has said anything new
        winner = leader({n: d.text for n, d in said.items()}, [1.0] * len(placed), self._form).seat
        calls.lead(said[winner].expert)
        yield Chunk(0, said[winner].text, finish=said[winner].finish)

    async def _round(
        self,
        placed: list[Seat],
        calls: Calls,
        said: dict[int, Draft],
        numbers: list[int] | None = None,
    ) -> None:
        """Let everybody answer, and note what came.

        Raises
        ------
        MotetError
            Nobody has answered yet, or now everybody lacks the budget.
        """
        failures: list[MotetError] = []
        came = 0
        async for at, draft in drafts(placed, calls, seconds=self.options.draft_s):
            if isinstance(draft, Draft):
                said[at if numbers is None else numbers[at]] = draft
                came += 1
            else:
                failures.append(draft)
        if not said or (not came and all(isinstance(f, BudgetExceeded) for f in failures)):
            raise verdict(failures)

    def _authors(self, decision: Decision) -> list[str]:
        panel = panel_of(decision, self.options.experts)
        return [panel[at % len(panel)] for at in range(self.options.experts)]

    def _read(self, number: int, said: dict[int, Draft]) -> list[str]:
        """Return the answers that the author at `number` reads."""
        others = [at for at in sorted(said) if at != number]
        if self.options.sees == "next" and others:
            others = [next((at for at in others if at > number), others[0])]
        return [said[at].text for at in others]

    @property
    def _form(self) -> Form:
        return self.options.answer

    def _agree(self, said: dict[int, Draft]) -> bool:
        return len({normal(draft.text, self._form) for draft in said.values()}) == 1
