"""A few steps, each asked of whoever does it best, whose results lead to the answer.

The steps are written in the config, or proposed by an expert for each request. They run as soon as
what they need is there, and may be no circle.
Sources: AgentNet (arXiv:2504.00587) for the graph of experts; the plan as checked data is our own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from pydantic import Field, PositiveFloat, model_validator

from motet.composer.calls import Calls
from motet.composer.relay import relay, verdict
from motet.composer.strategies.base import Strategy
from motet.composer.strategies.plan import (
    Outline,
    StepEntry,
    filled,
    outline_in,
    proposal,
    request_for,
)
from motet.config import Options, Setting
from motet.errors import (
    ConfigError,
    ContextLengthExceeded,
    ExpertError,
    ExpertTimeout,
    MotetError,
    UnsupportedRequest,
)
from motet.types import Chunk, Decision, Request

_TRIED = 2
"""Experts that a step may ask, one after another, beside whom it names."""


class StepsConfig(Options):
    """Options of `kind: steps`."""

    steps: tuple[StepEntry, ...] = Field(default=(), max_length=16)
    """The steps. The last one writes the answer."""
    planner: str | None = None
    """An expert that proposes the steps of each request instead; where it proposes nothing that
    can be done, the decision's first expert answers alone."""
    most: int = Field(default=5, ge=1, le=16)
    """Most steps that a planner may propose."""
    step_s: PositiveFloat = 60.0
    """Seconds a step may take before the next expert is asked."""
    first_chunk_s: PositiveFloat = 60.0
    """Seconds the last step has to begin before the next expert is asked."""

    @model_validator(mode="after")
    def _either(self) -> StepsConfig:
        if bool(self.steps) == (self.planner is not None):
            raise ValueError("give either steps, or a planner that proposes them")
        return self


class StepsStrategy(Strategy):
    """Runs the steps, those that need nothing of each other at once, and streams the last.

    A step that names nobody is the decision's first expert's. One that fails is asked of the
    decision's others; without its result there is no answer.
    """

    Config = StepsConfig
    options: StepsConfig

    def __init__(self, options: StepsConfig, setting: Setting) -> None:
        super().__init__(options, setting)
        setting.check(options.planner, "planner")
        for number, step in enumerate(options.steps):
            setting.check(step.by, "steps", number, "by")
        self._known = (*setting.experts, *setting.compositions)
        self._outline: Outline | None = None
        if options.steps:
            try:
                self._outline = Outline(options.steps)
            except ValueError as error:
                raise ConfigError(f"{error}", at=("steps",)) from None

    def stages(self, decision: Decision) -> tuple[tuple[str, ...], ...]:
        """Return who does the steps, in an order in which they can be done."""
        if self._outline is None:
            return ((self.options.planner or decision.primary,), (decision.primary,))
        return tuple((step.by or decision.primary,) for step in self._outline.steps)

    async def run(
        self, request: Request, decision: Decision, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Do the steps, and stream the answer of the last."""
        if request.prompt is not None:
            raise UnsupportedRequest("Steps lead to the answer of a chat; this is a completion.")
        outline = self._outline or await self._plan(request, decision, calls)
        results: dict[str, str] = {}
        if outline is not None:
            await self._work(outline, request, decision, calls, results)
            last = outline.steps[-1]
            asked = filled(request, last.ask, results)
            turns = [(expert, asked) for expert in self._doers(last.by, decision)]
        else:
            turns = [(expert, request) for expert in self._doers(None, decision)]
        first_chunk_s = self.options.first_chunk_s
        async with aclosing(relay(turns, calls, first_chunk_s=first_chunk_s)) as answer:
            async for chunk in answer:
                yield chunk

    async def _plan(self, request: Request, decision: Decision, calls: Calls) -> Outline | None:
        """Return the steps that the planner proposes; None where they cannot be done."""
        planner = self.options.planner or decision.primary
        may = tuple(dict.fromkeys(name for name in decision.experts if name in self._known))
        try:
            draft = await calls.draft(planner, proposal(request, may, self.options.most))
            return outline_in(draft.text, may, self.options.most)
        except (ExpertError, ContextLengthExceeded, ValueError):
            return None

    async def _work(
        self,
        outline: Outline,
        request: Request,
        decision: Decision,
        calls: Calls,
        results: dict[str, str],
    ) -> None:
        """Do all steps but the last, each as soon as what it needs is there.

        Raises
        ------
        MotetError
            One could not be done.
        """
        done = {step.name: asyncio.Event() for step in outline.steps}

        async def work(step: StepEntry) -> None:
            for name in outline.needs[step.name]:
                await done[name].wait()
            asked = request_for(request, step.ask, results)
            results[step.name] = await self._done(asked, self._doers(step.by, decision), calls)
            done[step.name].set()

        try:
            async with asyncio.TaskGroup() as group:
                for step in outline.steps[:-1]:
                    group.create_task(work(step))
        except* MotetError as failures:
            raise failures.exceptions[0] from None

    async def _done(self, asked: Request, doers: Sequence[str], calls: Calls) -> str:
        """Return what comes of a step, asked of one expert after another."""
        failures: list[MotetError] = []
        for expert in doers:
            try:
                async with asyncio.timeout(self.options.step_s):
                    return (await calls.draft(expert, asked)).text
            except TimeoutError:
                failures.append(ExpertTimeout(expert, f"took over {self.options.step_s:g} s."))
            except (ExpertError, ContextLengthExceeded) as failure:
                failures.append(failure)
        raise verdict(failures)

    def _doers(self, by: str | None, decision: Decision) -> list[str]:
        names = dict.fromkeys([*([by] if by else []), *decision.experts])
        return list(names)[: 1 + _TRIED]
