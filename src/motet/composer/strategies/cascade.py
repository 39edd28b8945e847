"""Experts in turn, cheap to dear, until an answer is good enough.

Sources: FrugalGPT (arXiv:2305.05176), cascade routing (arXiv:2410.10347); without an artifact, the
agreement of answers is the confidence, as in arXiv:2310.03094.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from functools import partial

from pydantic import Field, PositiveFloat, model_validator

from motet.composer.calls import Calls, Draft
from motet.composer.fitted.answers import short
from motet.composer.fitted.ballots import FittedBallots
from motet.composer.fitted.live import LiveFitted
from motet.composer.relay import relay, verdict
from motet.composer.strategies.ballot import Form, leader
from motet.composer.strategies.base import Strategy
from motet.composer.strategies.panel import Seat, drafts, panel_of
from motet.composer.strategies.synthesis import synthesis
from motet.config import Options, Setting
from motet.encoders.text import text_form
from motet.errors import BudgetExceeded, MotetError, UnsupportedRequest
from motet.types import Chunk, Decision, Request


class CascadeConfig(Options):
    """Options of `kind: cascade`."""

    artifact: str | None = None
    """What `motet cascade fit` wrote: whom to ask in which order for each task, and when an answer
    is kept. Without one the decision's experts are asked in order."""
    experts: int = Field(default=3, ge=1, le=16)
    """Most experts asked, without an artifact."""
    agree: int = Field(default=2, ge=2, le=16)
    """Without an artifact: how many must give the same answer for it to be kept."""
    answer: Form = "auto"
    """Without an artifact: what answers are compared by; as in `vote`."""
    hand_on: bool = False
    """Whether an expert reads the answers before its own. Not with an artifact: it was fitted to
    experts who answer alone."""
    draft_s: PositiveFloat = 60.0
    """Seconds an answer may take before the next expert is asked."""

    @model_validator(mode="after")
    def _fits(self) -> CascadeConfig:
        if self.artifact is not None and self.hand_on:
            raise ValueError(
                "hand_on cannot be had with an artifact, fitted to answers given alone"
            )
        if self.artifact is None and 1 < self.experts < self.agree:
            raise ValueError(f"agree is {self.agree}, and only {self.experts} experts are asked")
        return self


@dataclass(slots=True)
class _State:
    """What a request has come to.

    Attributes
    ----------
    order
        Whom to ask, in turn.
    said
        Answers by their place in `order`.
    """

    order: list[str]
    task: int = 0
    said: dict[int, Draft] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The answer that leads, how likely it is right, and whether no other is asked for."""

    draft: Draft
    chance: float
    sure: bool
    done: bool


class CascadeStrategy(Strategy):
    """Asks one expert after another, and weighs all answers anew after each.

    An expert that fails is passed over. The answer kept says how likely it was thought to be right
    (`confidence`), and `unsure` where nobody was left to ask, or going on would not have helped.
    """

    Config = CascadeConfig
    options: CascadeConfig

    def __init__(self, options: CascadeConfig, setting: Setting) -> None:
        super().__init__(options, setting)
        self._fitted: LiveFitted[FittedBallots] | None = None
        if options.artifact is not None:
            load = partial(FittedBallots.load, kind="cascade")
            self._fitted = LiveFitted(options.artifact, "cascade", setting, load)
            for course in self._fitted.cover.facts["courses"]:
                for expert in course["experts"]:
                    setting.check(expert, "artifact")

    def stages(self, decision: Decision) -> tuple[tuple[str, ...], ...]:
        """Return the experts in turn, as if no answer were kept; of the first task's course."""
        order = self._order(decision)
        if self._fitted is not None:
            order = list(self._fitted.cover.facts["courses"][0]["experts"])
        return tuple((expert,) for expert in order)

    async def run(
        self, request: Request, decision: Decision, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Ask in turn, and send the words of the first who gave the answer that is kept."""
        if request.n > 1 or request.tools:
            raise UnsupportedRequest(
                "A cascade gives one answer in words: ask without n and tools."
            )
        if self.options.hand_on and request.prompt is not None:
            raise UnsupportedRequest("hand_on shows drafts in a chat; this is a completion.")
        fitted = None if self._fitted is None else await self._fitted.get()
        query = text_form(request)
        state = _State(self._order(decision))
        if fitted is not None:
            state.task = int(fitted.teller.tell([query])[0])
            course = fitted.courses[state.task]
            state.order = [fitted.experts[column] for column in course.experts]
        if len(state.order) == 1:  # nothing to weigh it against: its words go out as they come
            turns = [
                (expert, request) for expert in dict.fromkeys([*state.order, *decision.experts])
            ]
            async for chunk in relay(turns, calls, first_chunk_s=self.options.draft_s):
                yield chunk
            return
        kept: _Kept | None = None
        failures: list[MotetError] = []
        for place, expert in enumerate(state.order):
            draft = await self._draft(expert, request, state, calls)
            if isinstance(draft, MotetError):
                failures.append(draft)
                if isinstance(draft, BudgetExceeded):
                    break
                continue
            state.said[place] = draft
            kept = self._weighed(state, query, fitted)
            if kept.done:
                break
        if kept is None:
            raise verdict(failures)
        calls.lead(kept.draft.expert)
        said = {"confidence": round(kept.chance, 4), "unsure": not kept.sure}
        yield Chunk(0, kept.draft.text, finish=kept.draft.finish, choice_extra=said)

    def _order(self, decision: Decision) -> list[str]:
        return panel_of(decision, self.options.experts)

    async def _draft(
        self, expert: str, request: Request, state: _State, calls: Calls
    ) -> Draft | MotetError:
        before = [draft.text for draft in state.said.values()]
        asked = synthesis(request, before) if self.options.hand_on and before else request
        seat, seconds = Seat(expert, asked), self.options.draft_s
        # To its end, so that nothing of it is left: one seat is one draft.
        (outcome,) = [draft async for _, draft in drafts([seat], calls, seconds=seconds)]
        return outcome

    def _weighed(self, state: _State, query: str, fitted: FittedBallots | None) -> _Kept:
        """Return which answer leads now, by the belief or by how many agree."""
        if fitted is None:
            texts = {place: draft.text for place, draft in state.said.items()}
            lead = leader(texts, [1.0] * len(state.order), self.options.answer)
            enough = lead.weight >= self.options.agree
            return _Kept(state.said[lead.seat], lead.weight / len(texts), enough, enough)
        course = fitted.courses[state.task]
        by_column = {course.experts[place]: draft for place, draft in state.said.items()}
        answers = {column: short(draft.text) for column, draft in by_column.items()}
        standing = fitted.standing(query, state.task, answers)
        first = next(iter(by_column)) if standing.expert is None else standing.expert
        done = not course.goes_on(standing.chance)
        return _Kept(
            by_column[first], standing.chance, standing.chance >= course.threshold, bool(done)
        )
