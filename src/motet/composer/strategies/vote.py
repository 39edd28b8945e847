"""Several answers, and the one that most of them agree on.

Sources: self-consistency (arXiv:2203.11171) for samples of one expert, Avengers (arXiv:2505.19797)
for one answer of each of several.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from motet.composer.calls import Calls, Draft
from motet.composer.fitted.ballots import FittedBallots
from motet.composer.fitted.live import LiveFitted
from motet.composer.relay import verdict
from motet.composer.strategies.ballot import Form
from motet.composer.strategies.base import Strategy
from motet.composer.strategies.panel import drafts, panel_of, seats
from motet.composer.strategies.tally import BelievedTally, Tally, WeightedTally
from motet.config import Options, Setting
from motet.encoders.text import text_form
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
    first: PositiveInt | None = None
    """How many answers are asked for at once; the others follow one by one, and none once the vote
    is settled. All at once when absent."""
    artifact: str | None = None
    """What `motet vote fit` wrote: its experts vote, and their answers count as it learned by
    task."""
    sure: float = Field(default=1.0, gt=0, le=1)
    """With an artifact: the chance of being right at which an answer wins before all have voted."""

    @model_validator(mode="after")
    def _several(self) -> VoteConfig:
        if self.artifact is None and self.sure < 1:
            raise ValueError("sure needs an artifact, which knows how likely an answer is right")
        if self.experts * self.samples < 2:
            raise ValueError("a vote needs two answers: raise experts or samples")
        return self


class VoteStrategy(Strategy):
    """Asks all at once, and stops as soon as no other answer can win.

    Between answers of equal weight the decision's order decides.
    """

    Config = VoteConfig
    options: VoteConfig

    def __init__(self, options: VoteConfig, setting: Setting) -> None:
        super().__init__(options, setting)
        self._fitted: LiveFitted[FittedBallots] | None = None
        if options.artifact is not None:
            load = partial(FittedBallots.load, kind="vote")
            self._fitted = LiveFitted(options.artifact, "vote", setting, load)
            for expert in self._fitted.cover.experts:
                setting.check(expert, "artifact")

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
        tally = await self._tally(request, decision, voters)
        drafted: dict[int, Draft] = {}
        failures: list[MotetError] = []
        winner: int | None = None
        async with aclosing(self._coming(request, voters, calls)) as coming:
            async for number, draft in coming:
                if isinstance(draft, Draft):
                    drafted[number] = draft
                    tally.add(number, draft.text)
                else:
                    failures.append(draft)
                    tally.lose(number)
                if (winner := tally.settled()) is not None:
                    break
        if not drafted:
            raise verdict(failures)
        winner = tally.leader() if winner is None else winner
        calls.lead(drafted[winner].expert)
        yield Chunk(0, drafted[winner].text, finish=drafted[winner].finish)

    async def _coming(
        self, request: Request, voters: list[str], calls: Calls
    ) -> AsyncGenerator[tuple[int, Draft | MotetError], None]:
        """Yield answers as they come: of the first voters together, of the others in turn."""
        placed = seats(request, voters, self.options.temperature)
        together = self.options.first or len(placed)
        waves = [(0, placed[:together])]
        waves += [(at, [placed[at]]) for at in range(together, len(placed))]
        for start, wave in waves:
            async with aclosing(drafts(wave, calls, seconds=self.options.draft_s)) as coming:
                async for number, draft in coming:
                    yield start + number, draft

    async def _tally(self, request: Request, decision: Decision, voters: list[str]) -> Tally:
        if self._fitted is not None:
            return BelievedTally(await self._fitted.get(), text_form(request), self.options.sure)
        worth = {c.expert: c.quality or 0.0 for c in decision.choices}
        known = self.options.weighted and all(worth[expert] > 0 for expert in voters)
        weights = [worth[expert] if known else 1.0 for expert in voters]
        return WeightedTally(weights, self.options.answer)

    def _voters(self, decision: Decision) -> list[str]:
        if self._fitted is not None:
            return list(self._fitted.cover.experts)
        panel = panel_of(decision, self.options.experts)
        return [expert for expert in panel for _ in range(self.options.samples)]
