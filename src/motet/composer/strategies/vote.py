"""Several answers, and the one that most of them agree on.

Sources: self-consistency (arXiv:2203.11171) for samples of one expert, Avengers (arXiv:2505.19797)
for one answer of each of several.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from motet.composer.calls import Calls, Draft
from motet.composer.relay import verdict
from motet.composer.strategies.ballot import Form, leader, settled
from motet.composer.strategies.base import Strategy
from motet.composer.strategies.panel import drafts, panel_of, seats
from motet.config import Options
from motet.errors import MotetError, UnsupportedRequest
from motet.types import Chunk, Decision, Request


class VoteConfig(Options):
    """Options of `kind: vote`."""

    experts: PositiveInt = 3
    """Experts of the decision that vote; 1 is self-consistency."""
    samples: PositiveInt = 1
    """Answers of each."""
    answer: Form = "auto"
    """What answers are compared by: their `number`, `choice` letter, `json` value or whole `text`;
    `auto` finds out."""
    weighted: bool = True
    """Whether a vote counts as much as the router expects of its expert."""
    temperature: NonNegativeFloat = 0.7
    """How freely words are drawn by an expert that votes more than once."""
    draft_s: PositiveFloat = 60.0
    """Seconds an answer may take before the vote goes on without it."""

    @model_validator(mode="after")
    def _several(self) -> VoteConfig:
        if self.experts * self.samples < 2:
            raise ValueError("a vote needs two answers: raise experts or samples")
        return self


class VoteStrategy(Strategy):
    """Asks all at once, and stops as soon as no other answer can win.

    Between answers of equal weight the decision's order decides.
    """

    Config = VoteConfig
    options: VoteConfig

    def stages(self, decision: Decision) -> tuple[tuple[str, ...], ...]:
        """Return everybody who votes, together."""
        return (tuple(dict.fromkeys(self._voters(decision))),)

    async def run(
        self, request: Request, decision: Decision, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Collect answers, and send the winner's first author's words."""
        if request.n > 1 or request.tools:
            raise UnsupportedRequest("A vote gives one answer in words: ask without n and tools.")
        voters = self._voters(decision)
        worth = {c.expert: c.quality or 0.0 for c in decision.choices}
        known = self.options.weighted and all(worth[expert] > 0 for expert in voters)
        weights = [worth[expert] if known else 1.0 for expert in voters]
        placed = seats(request, voters, self.options.temperature)
        drafted: dict[int, Draft] = {}
        texts: dict[int, str] = {}
        failures: list[MotetError] = []
        async with aclosing(drafts(placed, calls, seconds=self.options.draft_s)) as coming:
            async for number, draft in coming:
                if isinstance(draft, Draft):
                    drafted[number], texts[number] = draft, draft.text
                else:
                    failures.append(draft)
                    weights[number] = 0.0
                if (winner := settled(texts, weights, self.options.answer)) is not None:
                    break
            else:
                if not drafted:
                    raise verdict(failures)
                winner = leader(texts, weights, self.options.answer).seat
        calls.lead(drafted[winner].expert)
        yield Chunk(0, drafted[winner].text, finish=drafted[winner].finish)

    def _voters(self, decision: Decision) -> list[str]:
        panel = panel_of(decision, self.options.experts)
        return [expert for expert in panel for _ in range(self.options.samples)]
