"""The expert calls of one request: begun under its budget and deadline, traced, and ended with it.

They are there before anybody decides, so that whatever a router asks counts like any other call.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from copy import copy
from dataclasses import dataclass, replace
from inspect import isasyncgen
from math import ceil
from typing import Any, Protocol, TypeVar

from motet.composer.deadline import Deadline, OverError
from motet.config import Limits
from motet.errors import (
    BudgetExceeded,
    DeadlineExceeded,
    ExpertError,
    InternalError,
    MotetError,
)
from motet.types import Call, Chunk, ExpertCard, Price, Purpose, Request, SpanContext, Usage
from motet.whole import Whole, collect, without_thoughts

log = logging.getLogger(__name__)

T = TypeVar("T")
_STOPPED = "stopped before its end"
_CANCELLED = "cancelled"
Tell = Callable[[Call], None]
_COUNTED = (Purpose.ROUTE, Purpose.ANSWER)
"""What a composition's `expert_calls` bounds."""


class Asked(Protocol):
    """What a call needs of an expert."""

    card: ExpertCard

    def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer `request`; see `Expert.stream`."""


class Experts(Protocol):
    """Experts by id: those of a service, or a batch's journal of what they have answered."""

    def __getitem__(self, expert: str, /) -> Asked: ...


class Nested(Protocol):
    """Compositions that answer in the place of experts; see `motet.composer.nesting`."""

    def __contains__(self, name: object, /) -> bool: ...

    def answer(self, name: str, request: Request, calls: Calls) -> AsyncGenerator[Chunk, None]:
        """Answer `request` by a composition, whose expert calls are made through `calls`."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A whole answer that a strategy works on, and that no client has read yet.

    Attributes
    ----------
    text
        The answer less what a reasoning model thought before it.
    finish
        Why it ended, as in `Chunk`.
    """

    expert: str
    text: str
    finish: str


def _nobody(call: Call) -> None:
    """Tell nobody of a call."""


class Calls:
    """What routers and strategies ask experts through.

    The deadline holds for what waits in `within`: an answer's chunks, and its routing. A batch
    replays strategies without it, since nobody waits.

    Parameters
    ----------
    composition
        Its name, for messages.
    tell
        Told of each call once it has ended.
    before
        Calls that were made for the request before, such as by its router: they count too.
    span
        The request's span, below which each call has one, where traces are kept.
    members
        The compositions that may be asked as if they were experts.

    Attributes
    ----------
    trace
        Every call so far, in the order they began.
    author
        The expert whose words the client reads; None before the first of them.
    led
        Whom the strategy named for it: the same, or a composition in which it answered.
    latched
        The expert that a strategy wants the conversation to stay with; empty where none.
    judged
        How many turns in a row a strategy has judged to get nowhere, this one included.
    """

    def __init__(
        self,
        experts: Experts,
        limits: Limits,
        composition: str = "",
        *,
        tell: Tell = _nobody,
        before: Iterable[Call] = (),
        span: SpanContext | None = None,
        members: Nested | None = None,
    ) -> None:
        self.trace: list[Call] = list(before)
        self.author: str | None = None
        self.led: str | None = None
        self.latched = ""
        self.judged = 0
        self._experts = experts
        self._limits = limits
        self._composition = composition
        self._heard = tell
        self._span = span
        self._members = members
        self._parent: int | None = None
        self._inner: dict[str, Calls] = {}
        self._began = time.monotonic()
        self._deadline = Deadline(limits.deadline_s)
        self._open: dict[AsyncGenerator[Chunk, None], asyncio.Task[Any] | None] = {}

    @property
    def made(self) -> tuple[Call, ...]:
        """The calls of experts: all but those that a composition answered by calls of its own."""
        return tuple(call for call in self.trace if call.purpose is not Purpose.COMPOSE)

    @property
    def usage(self) -> Usage:
        """Tokens over all calls."""
        return sum((call.usage for call in self.trace), Usage())

    @property
    def cost_usd(self) -> float:
        """Cost over all calls, in USD."""
        return sum(call.cost_usd for call in self.trace)

    @property
    def answered(self) -> tuple[str, ...]:
        """Who has answered so far, in order, fused members included; not whom a router asked."""
        calls = (c for c in self.trace if c.answered and c.purpose is Purpose.ANSWER)
        return tuple(dict.fromkeys(name for call in calls for name in (call.expert, *call.fused)))

    @property
    def elapsed_s(self) -> float:
        """Seconds since the request began."""
        return time.monotonic() - self._began

    async def within(self, work: Awaitable[T]) -> T:
        """Return what `work` returns, within the request's deadline.

        Raises
        ------
        DeadlineExceeded
            The deadline came first; `work` is cancelled.
        """
        try:
            return await self._deadline.within(work)
        except OverError:
            raise DeadlineExceeded(
                f"The {self._limits.deadline_s:g} s allowed for {self._composition!r} are over.",
                hint="Ask for fewer tokens, or raise deadline_s in the composition's limits.",
            ) from None
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            # Something that was waited for was cancelled, and not this request.
            log.exception("%s waited for what was cancelled", self._composition)
            raise InternalError from error

    def lead(self, expert: str) -> None:
        """Name the expert, or the composition, whose words go out from here on."""
        self.led = expert
        inner = self._inner.get(expert)
        self.author = expert if inner is None else inner.author or expert

    def stream(
        self, expert: str, request: Request, purpose: Purpose = Purpose.ANSWER
    ) -> AsyncGenerator[Chunk, None]:
        """Ask `expert`; the call is in the trace from its first step on.

        Raises
        ------
        BudgetExceeded
            The calls, tokens or cost left do not allow it.
        ExpertError
            From the expert; the trace notes it.
        """
        return self._opened(self._record(expert, request, tell=self._tell, purpose=purpose))

    async def ask(self, expert: str, request: Request) -> str:
        """Ask `expert` what a router wants to know; see `motet.types.Asks`."""
        call = self._admit(expert, request, Purpose.ROUTE)
        try:
            return without_thoughts((await self._whole(call, request)).text)
        finally:
            self._tell(call)

    async def draft(
        self, expert: str, request: Request, *, share: int = 1, purpose: Purpose = Purpose.ANSWER
    ) -> Draft:
        """Ask `expert` for one whole answer, which the trace keeps.

        Parameters
        ----------
        share
            Calls that divide what is left of the budget evenly, this one among them.

        Raises
        ------
        BudgetExceeded, ExpertError
            As in `stream`; an answer without a word is an `ExpertError` too.
        """
        request = replace(request, stream=False, n=1, top_logprobs=None)
        call = self._admit(expert, request, purpose)
        try:
            whole = await self._whole(call, request, share)
            call.draft = without_thoughts(whole.text)
            if not call.draft:
                call.error, call.code = "said nothing", ExpertError.code
                raise ExpertError(expert, "said nothing.")
            return Draft(expert, call.draft, whole.finish)
        finally:
            self._tell(call)

    async def close(self) -> None:
        """Stop every call still under way, also one that was left behind in a task of its own."""
        self._deadline.close()
        # A strategy may have left a call in a task of its own, which must let go of the generator
        # before anybody else can close it.
        while self._open:
            answer, task = self._open.popitem()
            if isasyncgen(answer) and answer.ag_running and task is not asyncio.current_task():
                assert task is not None
                task.cancel()
                await asyncio.wait({task})
            await answer.aclose()

    async def _whole(self, call: Call, request: Request, share: int = 1) -> Whole:
        """Return the whole answer of an admitted call."""
        async with aclosing(
            self._opened(self._record(call.expert, request, call, share))
        ) as answer:
            return await collect(answer)

    def _tell(self, call: Call) -> None:
        if call.purpose is not Purpose.COMPOSE:
            self._heard(call)

    def _opened(self, call: AsyncGenerator[Chunk, None]) -> AsyncGenerator[Chunk, None]:
        self._open[call] = asyncio.current_task()
        return call

    async def _record(
        self,
        expert: str,
        request: Request,
        call: Call | None = None,
        share: int = 1,
        tell: Tell = _nobody,
        purpose: Purpose = Purpose.ANSWER,
    ) -> AsyncGenerator[Chunk, None]:
        """Ask, and note in the trace what comes; every expert call passes here."""
        call = call or self._admit(expert, request, purpose)
        try:
            if call.purpose is Purpose.COMPOSE:
                price, answer = Price(), self._composed(call, request)
            else:
                asked = self._experts[expert]
                price = asked.card.price
                request = self._within_budget(request, price, share)
                if call.span is not None:
                    request = replace(request, trace=call.span)
                answer = asked.stream(request)
            try:
                async for chunk in answer:
                    if call.first_chunk is None:
                        call.first_chunk = self.elapsed_s
                    if chunk.finish is not None:
                        call.finish = chunk.finish
                    if chunk.usage is not None and call.purpose is not Purpose.COMPOSE:
                        call.usage = chunk.usage
                        call.cost_usd = price.of(chunk.usage)
                    yield chunk
            finally:
                await answer.aclose()
        except MotetError as error:
            call.error, call.code = str(error), error.status_name
            raise
        except GeneratorExit:
            call.error, call.code = _STOPPED, _CANCELLED
            raise
        except asyncio.CancelledError as error:
            call.error, call.code = _STOPPED, _CANCELLED
            if _is_cancelled():
                raise
            # Something that the engine waited for was cancelled, and not this request.
            raise ExpertError(expert, "stopped in the middle.") from error
        except Exception as error:
            # The edge to an engine, which may fail in ways of its own: that is this expert's
            # failure, and the next one can be asked.
            log.exception("expert %s failed", expert)
            call.error, call.code = f"{type(error).__name__}: {error}", ExpertError.code
            raise ExpertError(expert, "failed; the log has the cause.") from error
        finally:
            call.finished = self.elapsed_s
            tell(call)

    def _composed(self, call: Call, request: Request) -> AsyncGenerator[Chunk, None]:
        """Return the answer of a composition in the place of an expert: within the same bounds."""
        assert self._members is not None
        inner = self._inner[call.expert] = copy(self)
        inner.author = inner.led = None
        inner._inner, inner._span = {}, call.span
        inner._composition = call.expert
        inner._parent = next(at for at, each in enumerate(self.trace) if each is call)
        return self._members.answer(call.expert, request, inner)

    def _admit(self, expert: str, request: Request, purpose: Purpose = Purpose.ANSWER) -> Call:
        if self._members is not None and expert in self._members:
            purpose = Purpose.COMPOSE
        # Counted on admission, not when they end: a panel begins all of its calls at once. Those of
        # a screen are as many as an answer is long, and bounded by it.
        made = sum(call.purpose in _COUNTED for call in self.trace)
        if purpose in _COUNTED and made >= self._limits.expert_calls:
            raise BudgetExceeded(
                f"A request may make {self._limits.expert_calls} expert calls, and all are made.",
                hint="Raise expert_calls in the composition's limits.",
            )
        span = self._span and self._span.child(len(self.trace))
        call = Call(expert, self.elapsed_s, fused=request.fused, purpose=purpose, span=span)
        call.parent = self._parent
        self.trace.append(call)
        return call

    def _within_budget(self, request: Request, price: Price, share: int) -> Request:
        """Return `request` with max_tokens no higher than its share of tokens and USD left."""
        allowed = [request.max_tokens] if request.max_tokens is not None else []
        limits, prompt = self._limits, request.estimated_tokens
        if limits.total_tokens is not None:
            # Calls under way have counted nothing yet, so each gets its share of what is left.
            left = (limits.total_tokens - self.usage.total_tokens) // share - prompt
            allowed.append(_share(left, request, f"{limits.total_tokens} tokens"))
        if limits.cost_usd is not None and price.output > 0:
            usd = (limits.cost_usd - self.cost_usd) / share - price.of(Usage(prompt))
            left = int(usd * 1_000_000 / price.output)
            allowed.append(_share(left, request, f"{limits.cost_usd:g} USD"))
        return replace(request, max_tokens=min(allowed)) if allowed else request


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _share(left: int, request: Request, budget: str) -> int:
    """Return how many tokens each of the request's choices may still take."""
    best_of = request.extra.get("best_of")  # so many are generated
    answers = max(request.n, ceil(best_of) if isinstance(best_of, int | float) else 0)
    if left < answers:
        raise BudgetExceeded(
            f"The budget of {budget} for a request does not cover this prompt and an answer.",
            hint="Shorten the prompt, or raise the composition's limits.",
        )
    return left // answers
