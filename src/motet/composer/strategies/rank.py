"""The best of several drafts, by a fitted scorer or by a judge who reads them in pairs.

Source: LLM-Blender (arXiv:2306.02561). A judge reads each pair both ways round, and what it says
only in one order counts as a tie: judges prefer the first they read (arXiv:2306.05685).
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from itertools import permutations

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from motet.composer.calls import Calls, Draft
from motet.composer.fitted.live import LiveFitted
from motet.composer.fitted.ranking import FittedRanker
from motet.composer.strategies.base import Strategy
from motet.composer.strategies.panel import Seat, drafts, panel_of, seats, written
from motet.composer.strategies.synthesis import fused, sent, synthesis
from motet.config import Options, Setting
from motet.encoders.text import text_form
from motet.errors import (
    UnsupportedRequest,
)
from motet.types import Chunk, Decision, Request

_ASK = """\
{drafts}

These are two answers to the request above. Which is better? Say 1 or 2, or 0 if they are equally \
good, and nothing else."""
_VERDICT = re.compile(r"[012]")


class RankConfig(Options):
    """Options of `kind: rank`."""

    experts: int = Field(default=3, ge=2, le=6)
    """Drafts: the decision's experts in order. A judge reads each two of them twice."""
    artifact: str | None = None
    """What `motet rank fit` wrote, which scores the drafts."""
    judge: str | None = None
    """The expert that compares drafts, without an artifact."""
    fuse: PositiveInt = 1
    """How many of the best are made one answer, by the judge or the best one's author; 1 sends the
    best as it is."""
    temperature: NonNegativeFloat = 0.7
    """How freely words are drawn by an expert that drafts more than once."""
    draft_s: PositiveFloat = 60.0
    """Seconds a draft or a comparison may take before it is left out."""

    @model_validator(mode="after")
    def _one_way(self) -> RankConfig:
        if (self.artifact is None) == (self.judge is None):
            raise ValueError("give one of artifact and judge, which rank the drafts")
        return self


class RankStrategy(Strategy):
    """Asks a panel at once, ranks the drafts, and sends the best or what is made of the best.

    Drafts and comparisons that fail are left out; where the budget ends, what was compared counts.
    Between equals the decision's order decides.
    """

    Config = RankConfig
    options: RankConfig

    def __init__(self, options: RankConfig, setting: Setting) -> None:
        super().__init__(options, setting)
        setting.check(options.judge, "judge")
        self._fitted: LiveFitted[FittedRanker] | None = None
        if options.artifact is not None:
            self._fitted = LiveFitted(options.artifact, "rank", setting, FittedRanker.load)

    def stages(self, decision: Decision) -> tuple[tuple[str, ...], ...]:
        """Return the panel, then the judge where there is one."""
        panel = tuple(dict.fromkeys(panel_of(decision, self.options.experts)))
        return (panel,) if self.options.judge is None else (panel, (self.options.judge,))

    async def run(
        self, request: Request, decision: Decision, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Draft, rank, and send the best."""
        if request.prompt is not None or request.n > 1 or request.tools:
            raise UnsupportedRequest(
                "A ranking gives one answer to a chat, in words: ask without n and tools."
            )
        panel = panel_of(decision, self.options.experts)
        placed = seats(request, panel, self.options.temperature)
        drafted = await written(placed, calls, seconds=self.options.draft_s)
        best = [drafted[at] for at in await self._ranked(request, drafted, calls)]
        if self.options.fuse == 1 or len(best) == 1:
            for chunk in sent(best[0], calls):
                yield chunk
            return
        writer, read = self.options.judge or best[0].expert, best[: self.options.fuse]
        answer = fused(request, read, writer, calls, first_chunk_s=self.options.draft_s)
        async with aclosing(answer) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _ranked(self, request: Request, drafted: list[Draft], calls: Calls) -> list[int]:
        """Return the drafts' numbers, best first."""
        if len({draft.text for draft in drafted}) == 1:
            return list(range(len(drafted)))
        if self._fitted is not None:
            ranker = await self._fitted.get()
            texts, authors = [d.text for d in drafted], [d.expert for d in drafted]
            scores = ranker.scores(text_form(request), texts, authors).tolist()
        else:
            scores = await self._judged(request, [draft.text for draft in drafted], calls)
        return sorted(range(len(drafted)), key=lambda at: (-scores[at], at))

    async def _judged(self, request: Request, texts: list[str], calls: Calls) -> list[float]:
        """Return how many others each draft beats, a tie counting half.

        A comparison made in one order alone, since the other failed, counts as a tie.
        """
        judge = self.options.judge
        assert judge is not None
        pairs = list(permutations(range(len(texts)), 2))
        plain = replace(request, temperature=0.0, max_tokens=8, response_format=None)
        asked = [Seat(judge, synthesis(plain, [texts[a], texts[b]], _ASK)) for a, b in pairs]
        first: dict[tuple[int, int], int] = {}
        async for at, draft in drafts(asked, calls, seconds=self.options.draft_s):
            said = _VERDICT.search(draft.text) if isinstance(draft, Draft) else None
            if said is not None and said[0] != "0":
                first[pairs[at]] = pairs[at][int(said[0]) - 1]
        wins = [0.0] * len(texts)
        for one, other in pairs:
            if one < other:
                here, there = first.get((one, other)), first.get((other, one))
                if here is not None and here == there:
                    wins[here] += 1.0
                else:
                    wins[one] += 0.5
                    wins[other] += 0.5
        return wins
