"""One request's way: its composition, its calls, its decision; `answer.py` has the rest."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Protocol

from motet.composer.answer import Answer
from motet.composer.calls import Calls, Experts
from motet.composer.eligibility import eligible, roomy_first, why_not
from motet.composer.nesting import NestedCompositions, with_members
from motet.composer.parts import Composition, Parts
from motet.errors import (
    InternalError,
    MotetError,
    NoExpertAvailable,
    RequestError,
    UnknownModel,
    UnsupportedRequest,
)
from motet.operations.base import UNKNOWN, Observer, Outcome
from motet.operations.sessions import ConversationMemory
from motet.operations.tracing import Tracing
from motet.types import Call, Choice, Decision, Fleet, Past, Request, SpanContext, Task
from motet.wording import listed

log = logging.getLogger(__name__)


class Seen(Protocol):
    """Experts with their health at this moment: a live fleet, or one taken as ready."""

    @property
    def view(self) -> Fleet:
        """What routers read."""


class Pipeline:
    """Finds the composition, asks its router once, and runs its strategy.

    Parameters
    ----------
    experts
        Who is asked, where that is not the experts of `parts` themselves.
    tracing
        Which span a request is, where traces are kept.
    memory
        Of conversations; without one every turn is the first.

    Attributes
    ----------
    observer
        Told of every decision, call and end.
    """

    def __init__(
        self,
        parts: Parts,
        fleet: Seen,
        observer: Observer | None = None,
        experts: Experts | None = None,
        tracing: Tracing | None = None,
        memory: ConversationMemory | None = None,
    ) -> None:
        self.parts = parts
        self._memory = memory
        self._tracing = tracing
        self._experts = parts.experts if experts is None else experts
        self.compositions = parts.compositions
        composed = {name: c for name, c in parts.compositions.items() if c.router is not None}
        self._nested = NestedCompositions(composed, self._routed)
        self.fleet = fleet
        self.observer = observer or Observer()
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def decide(self, request: Request) -> Decision:
        """Return which experts would answer `request`, and why; see `decide_asking`."""
        return (await self.decide_asking(request))[0]

    async def decide_asking(self, request: Request) -> tuple[Decision, tuple[Call, ...]]:
        """Return which experts would answer `request`, and why, and what the router asked.

        Raises
        ------
        UnknownModel
            No expert or composition is called `request.model`.
        UnsupportedRequest, NoExpertAvailable
            Nobody can take it; see `eligible`.
        DeadlineExceeded
            The router took longer than the composition allows.
        """
        composition = self.find(request)
        calls = self._calls(request, composition)
        try:
            request = await calls.within(self.recalled(request, composition))
            decision = await calls.within(self.choose(request, composition, calls))
            return decision, tuple(calls.trace)
        finally:
            await calls.close()

    def answer(
        self, request: Request, *, first: Callable[[], Awaitable[None]] | None = None
    ) -> Answer:
        """Return an answer to `request`, which begins when it is entered; see `Answer`."""
        return Answer(self, request, first)

    def find(self, request: Request) -> Composition:
        """Return the composition that a request names.

        Raises
        ------
        UnknownModel
            There is none, or its caller may not ask it.
        UnsupportedRequest
            It is asked for something else than it does.
        RequestError
            It sends a field that belongs to one expert through a composition of several.
        """
        allowed = request.caller.models
        composition = self.compositions.get(request.model)
        if composition is None or (allowed is not None and request.model not in allowed):
            raise UnknownModel(request.model, self.compositions if allowed is None else allowed)
        if request.task is not composition.task:
            # Prompts come by several endpoints, texts by one.
            here = "here" if request.task is Task.ANSWER else f"at /v1/{request.task}"
            raise UnsupportedRequest(
                f"{request.model!r} is asked at /v1/{composition.task}, and not {here}.",
                param="model",
            )
        if composition.router is not None:
            for field in self.parts.expert_fields.intersection(request.extra):
                raise RequestError(
                    f"{field}: only the expert that reads it takes this field, and "
                    f"{composition.name!r} is a composition.",
                    hint="Ask that expert by its name.",
                    param=field,
                )
        return composition

    def calls(self, request: Request, composition: Composition) -> Calls:
        """Return the calls of a request: its deadline, budget and trace begin."""
        span = None if self._tracing is None else self._tracing.span_of(request)
        return self._calls(request, composition, span)

    def _calls(
        self, request: Request, composition: Composition, span: SpanContext | None = None
    ) -> Calls:
        tell = partial(self.observer.called, request, composition.name)
        return Calls(
            self._experts,
            composition.limits,
            composition.name,
            tell=tell,
            span=span,
            members=self.members_of(composition),
        )

    def members_of(self, composition: Composition) -> NestedCompositions | None:
        """Return the compositions that one may ask, or that those may; None where it names none."""
        return self._nested if composition.members else None

    def is_screened(self, composition: Composition) -> bool:
        """Return whether a composition is screened, or one that it may ask."""
        members = (self.compositions[name] for name in composition.members)
        return composition.screen is not None or any(map(self.is_screened, members))

    def began(self, request: Request) -> str:
        """Note the beginning of an answer, and return what it is counted as."""
        name = request.model if request.model in self.compositions else UNKNOWN
        self._enter()
        self.observer.began(request, name)
        return name

    def ended(self, request: Request, name: str, outcome: Outcome) -> None:
        """Note the end of an answer."""
        self._leave()
        self.observer.finished(request, name, outcome)

    async def recalled(self, request: Request, composition: Composition) -> Request:
        """Return a request with what is remembered of its conversation, where that is read."""
        if self._memory is None or not composition.remembers:
            return request
        past, fleet = await self._memory.recall(request), self.fleet.view
        asked = [fleet[past.expert]] if past.expert in fleet else list(fleet.values())
        windows = [each.card.context for each in asked if each.card.context is not None]
        return replace(request, past=replace(past, context=max(windows, default=None)))

    def answered(
        self, request: Request, composition: Composition, decision: Decision, calls: Calls
    ) -> None:
        """Remember how a conversation stands after an answer, where that is read."""
        if self._memory is None or not composition.remembers:
            return
        latched = calls.latched or (decision.primary if decision.latched else request.past.latched)
        past = Past(
            expert=calls.led or decision.primary,  # by the name that its router knows
            latched=latched,
            judged=calls.judged,
            messages=len(request.messages),
            ended=time.time(),
        )
        self._memory.note(request, past)

    def refused(self, request: Request, error: MotetError) -> None:
        """Note a line of a batch that came no further than its decision."""
        self.ended(request, self.began(request), Outcome(status=error.status_name, seconds=0.0))

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Count the block as an answer under way, for work that asks these parts by itself."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

    @property
    def is_idle(self) -> bool:
        """Whether no answer is under way."""
        return not self._open

    async def idle(self) -> None:
        """Wait until no answer is under way."""
        await self._idle.wait()

    def _enter(self) -> None:
        self._open += 1
        self._idle.clear()

    def _leave(self) -> None:
        self._open -= 1
        if not self._open:
            self._idle.set()

    async def choose(self, request: Request, composition: Composition, calls: Calls) -> Decision:
        """Return the decision on a request, and tell observers of it; see `decide_asking`."""
        decision = await self._routed(request, composition, calls)
        self.observer.decided(request, composition.name, decision)
        return decision

    async def _routed(self, request: Request, composition: Composition, calls: Calls) -> Decision:
        name, router = composition.name, composition.router
        if router is None:
            eligible(request, Fleet([self.fleet.view[name]]))
            return Decision(choices=(Choice(name),), router="direct", reason="named by the client")
        # One view for the whole decision: the fleet may change while a router waits.
        fleet = eligible(request, with_members(self.fleet.view, composition))
        try:
            decision = await router.route(request, fleet, calls)
        except MotetError:
            raise
        except Exception as error:
            # The edge to a router that is not ours, or to a library behind one.
            log.exception("request %s: router %s failed", request.id, router.name)
            raise InternalError from error
        if decision is None:
            absent = [member for member in self.fleet.view.values() if member.card.id not in fleet]
            others = f"; {why_not(absent)}" if absent else ""
            raise NoExpertAvailable(
                f"Router {router.name!r} chose none of {listed(fleet)}{others}.",
                hint="See /ready." if absent else "Give its chain a fallback.",
                retry_after=5.0,
            )
        return roomy_first(request, decision, fleet)
