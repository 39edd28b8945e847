"""An expert reads several tries, its own or of a panel, and answers again; then a vote.

Source: ensemble refinement (Med-PaLM 2, arXiv:2305.09617).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace

from pydantic import Field, NonNegativeFloat, PositiveFloat

from motet.composer.calls import Calls, Draft
from motet.composer.relay import verdict
from motet.composer.strategies.ballot import Form, leader, settled
from motet.composer.strategies.base import Strategy
from motet.composer.strategies.panel import drafts, panel_of, seats, written
from motet.composer.strategies.synthesis import synthesis
from motet.config import Options, Setting
from motet.errors import MotetError, UnsupportedRequest
from motet.types import Chunk, Decision, Request

_THINK = "Think step by step, then say: the answer is ..."
_ASK = """\
{drafts}

These are {count} tries at the request above, with their reasons; some may be wrong. Weigh them, \
and give the right answer in the form that the request asks for."""


class RefineConfig(Options):
    """Options of `kind: refine`."""

    samples: int = Field(default=5, ge=2, le=32)
    """Tries that are read."""
    experts: int = Field(default=1, ge=1, le=16)
    """Experts of the decision among whom the tries are shared; 1 is the published form."""
    refinements: int = Field(default=3, ge=1, le=32)
    """Answers written with all tries in view, which are then voted on."""
    expert: str | None = None
    """Who writes those; the decision's first expert when absent."""
    reasons: bool = True
    """Whether the tries are asked for their reasons."""
    answer: Form = "auto"
    """What answers are compared by; as in `vote`."""
    temperature: NonNegativeFloat = 0.7
    """How freely words are drawn by an expert that writes more than once."""
    draft_s: PositiveFloat = 60.0
    """Seconds a try may take before it is left out."""


class RefineStrategy(Strategy):
    """Samples, refines, votes. Where no refinement comes, the tries themselves are voted on."""

    Config = RefineConfig
    options: RefineConfig

    def __init__(self, options: RefineConfig, setting: Setting) -> None:
        super().__init__(options, setting)
        setting.check(options.expert, "expert")

    def stages(self, decision: Decision) -> tuple[tuple[str, ...], ...]:
        """Return who tries, then who refines."""
        tries = tuple(dict.fromkeys(self._trying(decision)))
        return (tries, (self.options.expert or decision.primary,))

    async def run(
        self, request: Request, decision: Decision, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Send the answer that most refinements give."""
        if request.prompt is not None or request.n > 1 or request.tools:
            raise UnsupportedRequest(
                "Refinement gives one answer to a chat, in words: ask without n and tools."
            )
        # A schema binds the answer alone: reasons are written freely.
        free = replace(request, response_format=None) if self.options.reasons else request
        asked = synthesis(free, (), _THINK) if self.options.reasons else free
        share = self.options.samples + self.options.refinements
        seated = seats(asked, self._trying(decision), self.options.temperature)
        tries = await written(seated, calls, seconds=self.options.draft_s, share=share)
        again = synthesis(request, [draft.text for draft in tries], _ASK)
        writer = self.options.expert or decision.primary
        try:
            answers = await self._settled(again, [writer] * self.options.refinements, calls)
        except MotetError:
            if self.options.reasons and request.response_format is not None:
                raise  # the tries are not in the format that was asked for
            answers = tries
        texts = {number: draft.text for number, draft in enumerate(answers)}
        winner = answers[leader(texts, [1.0] * len(texts), self.options.answer).seat]
        calls.lead(winner.expert)
        yield Chunk(0, winner.text, finish=winner.finish)

    async def _settled(self, request: Request, experts: list[str], calls: Calls) -> list[Draft]:
        """Return what comes of so many drafts, as far as a vote on them is still open.

        Raises
        ------
        MotetError
            None came.
        """
        placed = seats(request, experts, self.options.temperature)
        came: dict[int, Draft] = {}
        failures: list[MotetError] = []
        weights = [1.0] * len(placed)
        coming = drafts(placed, calls, seconds=self.options.draft_s)
        try:
            async for number, draft in coming:
                if isinstance(draft, Draft):
                    came[number] = draft
                else:
                    failures.append(draft)
                    weights[number] = 0.0
                texts = {at: each.text for at, each in came.items()}
                if settled(texts, weights, self.options.answer) is not None:
                    break
        finally:
            await coming.aclose()
        if not came:
            raise verdict(failures)
        return [came[number] for number in sorted(came)]

    def _trying(self, decision: Decision) -> list[str]:
        panel = panel_of(decision, self.options.experts)
        return [panel[at % len(panel)] for at in range(self.options.samples)]
