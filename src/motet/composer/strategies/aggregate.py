"""A panel drafts, an aggregator writes the answer.

Sources: Symbolic-MoE (arXiv:2503.05641), Mixture-of-Agents (arXiv:2406.04692) for layers,
Self-MoA (arXiv:2502.00674) for the form `self`, which is also the control of the other.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from motet.composer.calls import Calls, Draft
from motet.composer.strategies.base import Strategy
from motet.composer.strategies.panel import panel_of, seats, written
from motet.composer.strategies.synthesis import fused, sent, synthesis
from motet.config import Options, Setting
from motet.errors import (
    ArtifactError,
    ConfigError,
    UnsupportedRequest,
)
from motet.routers.skill.profile import Profile
from motet.types import Chunk, Decision, Request

log = logging.getLogger(__name__)


class AggregateConfig(Options):
    """Options of `kind: aggregate`."""

    experts: PositiveInt = Field(default=3, ge=2)
    """Drafts in each layer: the decision's experts in order, or one expert's with `form: self`."""
    form: Literal["panel", "self"] = "panel"
    """Who drafts: a panel of the decision's experts, or its first expert several times."""
    layers: PositiveInt = 1
    """Rounds of drafts; from the second on, authors see the drafts of the round before."""
    aggregator: str | None = None
    """The expert that writes the answer; absent, the best of the profile's synthesis test, and
    without one the decision's first expert."""
    profile: str | None = None
    """A skill profile whose synthesis test chooses the aggregator; without a test in it, the
    decision's first expert is taken."""
    temperature: NonNegativeFloat = 0.7
    """How freely words are drawn by an expert that drafts more than once."""
    draft_s: PositiveFloat = 60.0
    """Seconds a draft may take before the panel goes on without it."""
    first_chunk_s: PositiveFloat = 60.0
    """Seconds an aggregator has to begin before the decision's first expert takes over."""

    @model_validator(mode="after")
    def _chosen_once(self) -> AggregateConfig:
        if self.aggregator is not None and self.profile is not None:
            raise ValueError("give either aggregator or profile, which chooses one")
        return self


class AggregateStrategy(Strategy):
    """Asks a panel at once, then streams what the aggregator makes of the drafts.

    A draft that fails leaves the panel, and the trace says so. Drafts that agree word for word, or
    a single one that is left, are the answer without an aggregator; so is the decision's first
    draft when no aggregator begins.
    """

    Config = AggregateConfig
    options: AggregateConfig

    def __init__(self, options: AggregateConfig, setting: Setting) -> None:
        super().__init__(options, setting)
        setting.check(options.aggregator, "aggregator")
        self._aggregator = options.aggregator
        if options.profile is not None:
            self._aggregator = _measured(setting.folder / options.profile, setting.experts)

    def stages(self, decision: Decision) -> tuple[tuple[str, ...], ...]:
        """Return the panel once for each layer, then the aggregator."""
        panel = tuple(dict.fromkeys(self._panel(decision)))
        return (panel,) * self.options.layers + ((self._aggregator or decision.primary,),)

    async def run(
        self, request: Request, decision: Decision, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Draft, layer by layer, then relay the aggregator."""
        if request.prompt is not None:
            raise UnsupportedRequest("A panel answers chats; this is a completion.")
        drafted: list[Draft] = []
        for _ in range(self.options.layers):
            drafted = await self._layer(request, decision, calls, drafted)
        if len({draft.text for draft in drafted}) == 1:
            for chunk in sent(drafted[0], calls, request.n):
                yield chunk
            return
        writer, first_chunk_s = self._aggregator or decision.primary, self.options.first_chunk_s
        answer = fused(request, drafted, writer, calls, first_chunk_s=first_chunk_s)
        async with aclosing(answer) as chunks:
            async for chunk in chunks:
                yield chunk

    def _panel(self, decision: Decision) -> list[str]:
        size = self.options.experts
        return (
            [decision.primary] * size if self.options.form == "self" else panel_of(decision, size)
        )

    async def _layer(
        self, request: Request, decision: Decision, calls: Calls, before: Sequence[Draft]
    ) -> list[Draft]:
        """Return the drafts of one layer in the order of its seats."""
        asked = synthesis(request, [d.text for d in before]) if before else request
        # What the answer may be made of is the aggregator's business, not its material's.
        asked = replace(asked, tools=(), tool_choice=None)
        placed = seats(asked, self._panel(decision), self.options.temperature)
        # One share more than there are seats: the aggregator must have its part of the budget.
        share = len(placed) + 1
        return await written(placed, calls, seconds=self.options.draft_s, share=share)


def _measured(path: Path, experts: tuple[str, ...]) -> str | None:
    """Return which of `experts` did best in the synthesis test of a profile, None without one."""
    try:
        profile = Profile.load(path)
    except ArtifactError as error:
        raise ConfigError(str(error), at=("profile",)) from error
    best = profile.aggregator(experts)
    if best is None:
        # Not refused: the test itself needs a config that can be served.
        log.warning("%s holds no synthesis test; run `motet profile synthesis`", path)
    return best
