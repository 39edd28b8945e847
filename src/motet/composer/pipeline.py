"""One request's way: composition, limits, decision, strategy, chunks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from functools import partial
from typing import Any, Protocol, Self

from motet.composer.calls import Calls, Experts
from motet.composer.eligibility import eligible, roomy_first
from motet.composer.explanation import explanation
from motet.composer.parts import Composition, Parts
from motet.errors import MotetError, NoExpertAvailable, RequestError, UnknownModel
from motet.operations.base import UNKNOWN, Observer, Outcome
from motet.types import Call, Choice, Chunk, Decision, Fleet, Request

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
    ) -> None:
        self.parts = parts
        self._experts = parts.experts if experts is None else experts
        self.compositions = parts.compositions
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
            decision = await calls.within(self._decide(request, composition, calls))
            return decision, tuple(calls.trace)
        finally:
            await calls.close()

    async def answer(
        self, request: Request, *, first: Callable[[], Awaitable[None]] | None = None
    ) -> Answer:
        """Begin to answer: decide, and hold the strategy ready to run.

        Parameters
        ----------
        first
            What is waited for before anybody decides; its time counts.
        """
        name = self._name(request)
        self.observer.began(request, name)
        began = time.monotonic()
        self._enter()
        calls: Calls | None = None
        try:
            composition = self.find(request)
            calls = self._calls(request, composition)
            if first is not None:
                await first()
            decision = await calls.within(self._decide(request, composition, calls))
        except BaseException as error:
            try:
                if calls is not None:
                    await calls.close()
            finally:
                trace = () if calls is None else tuple(calls.trace)
                outcome = Outcome(
                    status=_status(error), seconds=time.monotonic() - began, calls=trace
                )
                self.ended(request, name, outcome)
            raise
        return Answer(self, request, composition, decision, calls)

    def find(self, request: Request) -> Composition:
        """Return the composition that a request names.

        Raises
        ------
        UnknownModel
            There is none, or its caller may not ask it.
        RequestError
            It sends a field that belongs to one expert through a composition of several.
        """
        allowed = request.caller.models
        composition = self.compositions.get(request.model)
        if composition is None or (allowed is not None and request.model not in allowed):
            raise UnknownModel(request.model, self.compositions if allowed is None else allowed)
        if composition.router is not None:
            for field in self.parts.expert_fields.intersection(request.extra):
                raise RequestError(
                    f"{field}: only the expert that reads it takes this field, and "
                    f"{composition.name!r} is a composition.",
                    hint="Ask that expert by its name.",
                    param=field,
                )
        return composition

    def ended(self, request: Request, name: str, outcome: Outcome) -> None:
        """Note the end of an answer."""
        self._leave()
        self.observer.finished(request, name, outcome)

    def refused(self, request: Request, error: MotetError) -> None:
        """Tell observers of a request that came no further than its decision."""
        name = self._name(request)
        self.observer.began(request, name)
        self.observer.finished(request, name, Outcome(status=_status(error), seconds=0.0))

    def _name(self, request: Request) -> str:
        return request.model if request.model in self.compositions else UNKNOWN

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Count the block as an answer under way, for work that asks these parts by itself."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

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

    def _calls(self, request: Request, composition: Composition) -> Calls:
        tell = partial(self.observer.called, request, composition.name)
        return Calls(self._experts, composition.limits, composition.name, tell=tell)

    async def _decide(self, request: Request, composition: Composition, calls: Calls) -> Decision:
        decision = await self._choose(request, composition, calls)
        self.observer.decided(request, composition.name, decision)
        return decision

    async def _choose(self, request: Request, composition: Composition, calls: Calls) -> Decision:
        name, router = composition.name, composition.router
        if router is None:
            eligible(request, Fleet([self.fleet.view[name]]))
            return Decision(choices=(Choice(name),), router="direct", reason="named by the client")
        fleet = eligible(request, self.fleet.view)
        try:
            decision = await router.route(request, fleet, calls)
        except MotetError:
            raise
        except Exception as error:
            raise _internal(request, name, error) from error
        if decision is None:
            raise NoExpertAvailable(
                f"Router {router.name!r} chose no expert of those that can answer now.",
                hint="Give its chain a fallback.",
                retry_after=5.0,
            )
        return roomy_first(request, decision, fleet)


class Answer:
    """An answer under way: an async iterator of chunks that ends its expert calls with itself.

    Use it as a context manager; leaving it, for whatever reason, stops every call it began.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        request: Request,
        composition: Composition,
        decision: Decision,
        calls: Calls,
    ) -> None:
        self.request = request
        self.decision = decision
        self.composition = composition
        self.calls = calls
        self._pipeline = pipeline
        self._first_chunk_s: float | None = None
        self._status = "cancelled"  # unless it comes to another end
        self._chunks = answering(composition, request, decision, calls)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            try:
                await self._chunks.aclose()
            finally:
                await self.calls.close()
        finally:
            outcome = Outcome(
                status=self._status,
                seconds=self.calls.elapsed_s,
                first_chunk_s=self._first_chunk_s,
                author=self.author if self._first_chunk_s is not None else None,
                calls=tuple(self.calls.trace),
            )
            self._pipeline.ended(self.request, self.composition.name, outcome)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        try:
            chunk = await self.calls.within(anext(self._chunks))
        except StopAsyncIteration:
            self._status = "ok"
            raise
        except MotetError as error:
            self._status = _status(error)
            raise
        if self._first_chunk_s is None:
            self._first_chunk_s = self.calls.elapsed_s
        return chunk

    @property
    def author(self) -> str:
        """The expert whose words the client reads."""
        return self.calls.author or self.decision.primary

    def explain(self) -> dict[str, Any]:
        """Return who was asked, why, and what it took, as plain JSON values."""
        return explanation(self.composition.name, self.decision, self.calls)


async def answering(
    composition: Composition, request: Request, decision: Decision, calls: Calls
) -> AsyncGenerator[Chunk, None]:
    """Run the strategy of a composition, which may fail in ways of its own.

    Raises
    ------
    MotetError
        From the strategy; or it failed otherwise, or ended without an answer.
    """
    name, answered = composition.name, False
    try:
        async with aclosing(composition.strategy.run(request, decision, calls)) as chunks:
            async for chunk in chunks:
                answered = True
                yield chunk
    except MotetError:
        raise
    except Exception as error:
        raise _internal(request, name, error) from error
    if not answered:
        log.error("request %s: the strategy of %s ended without an answer", request.id, name)
        raise MotetError(f"The strategy of {name!r} ended without an answer.")


def _status(error: BaseException) -> str:
    """Return what an end by `error` is counted as."""
    if isinstance(error, MotetError):
        return error.code or str(error.status)
    return "cancelled"


def _internal(request: Request, composition: str, error: Exception) -> MotetError:
    """Return what the client is told of a fault in code that Motet does not own, and log it all."""
    log.error("request %s failed in %s", request.id, composition, exc_info=error)
    return MotetError("An internal error ended the answer; the log has its cause.")
