"""One answer under way, from its decision to its last chunk."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Protocol, Self, TypeVar

from motet.composer.calls import Calls
from motet.composer.explanation import explanation
from motet.composer.parts import Composition
from motet.errors import InternalError, MotetError
from motet.operations.base import Outcome
from motet.operations.logs import UNDER_WAY
from motet.types import Chunk, Decision, Request, Usage

log = logging.getLogger(__name__)

T = TypeVar("T")


class Way(Protocol):
    """What an answer goes through: the pipeline, as the answer sees it."""

    def began(self, request: Request) -> str:
        """Note the beginning of an answer, and return what it is counted as."""

    def find(self, request: Request) -> Composition:
        """Return the composition that a request names."""

    def calls(self, request: Request, composition: Composition) -> Calls:
        """Return the calls of a request: its deadline, budget and trace begin."""

    async def recalled(self, request: Request, composition: Composition) -> Request:
        """Return a request with what is remembered of its conversation."""

    async def choose(self, request: Request, composition: Composition, calls: Calls) -> Decision:
        """Return the decision on a request."""

    def answered(
        self, request: Request, composition: Composition, decision: Decision, calls: Calls
    ) -> None:
        """Note that an answer is whole."""

    def ended(self, request: Request, name: str, outcome: Outcome) -> None:
        """Note the end of an answer."""


class Answer:
    """An async iterator of chunks that ends its expert calls with itself.

    A context manager: entering it decides, and leaving it, for whatever reason, stops every call
    that was begun. Between the two it is under way, and its observers are told of both.

    Parameters
    ----------
    first
        What is waited for before anybody decides; its time counts.

    Attributes
    ----------
    composition, calls, decision
        There once it is entered.
    """

    composition: Composition
    calls: Calls
    decision: Decision
    _chunks: AsyncGenerator[Chunk, None]

    def __init__(
        self,
        way: Way,
        request: Request,
        first: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.request = request
        self._way = way
        self._first = first
        self._decided_s: float | None = None
        self._first_chunk_s: float | None = None
        self._said: list[str] = []
        self._status = "cancelled"  # unless it comes to another end

    async def __aenter__(self) -> Self:
        """Decide.

        Raises
        ------
        MotetError
            As `Pipeline.decide`; or `ContentFiltered`, by the composition's screen.
        """
        way, request = self._way, self.request
        self._began = time.monotonic()
        UNDER_WAY.set(request.id)
        self._name = way.began(request)
        try:
            self.composition = way.find(request)
            self.calls = way.calls(request, self.composition)
            if self._first is not None:
                await self._first()
            self.decision = await self.calls.within(self._decide())
            self._decided_s = self.calls.elapsed_s
        except BaseException as error:
            self._note(error)
            await self._end()
            raise
        self._chunks = answering(self.composition, self.request, self.decision, self.calls)
        return self

    async def _decide(self) -> Decision:
        if self.composition.screen is not None:
            await self.composition.screen.prompt(self.request, self.calls)
        self.request = await self._way.recalled(self.request, self.composition)
        return await self._way.choose(self.request, self.composition, self.calls)

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._chunks.aclose()
        finally:
            await self._end()

    async def _end(self) -> None:
        """Stop what is still asked, and say how it ended, whatever stopping comes to."""
        calls = getattr(self, "calls", None)
        try:
            if calls is not None:
                await calls.close()
        finally:
            outcome = Outcome(
                status=self._status,
                seconds=time.monotonic() - self._began,
                decided_s=self._decided_s,
                first_chunk_s=self._first_chunk_s,
                author=self.author if self._first_chunk_s is not None else None,
                text="".join(self._said),
                calls=() if calls is None else calls.made,
            )
            self._way.ended(self.request, self._name, outcome)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        try:
            chunk = await self.calls.within(anext(self._chunks))
        except StopAsyncIteration:
            if self._status != "ok":
                # Before its end is told: the client may send the next turn at once.
                self._way.answered(self.request, self.composition, self.decision, self.calls)
            self._status = "ok"
            raise
        except MotetError as error:
            self._note(error)
            raise
        if self._first_chunk_s is None:
            self._first_chunk_s = self.calls.elapsed_s
        if chunk.text and not chunk.index:
            self._said.append(chunk.text)
        return chunk

    def _note(self, error: BaseException) -> None:
        if isinstance(error, MotetError):
            self._status = error.status_name

    @property
    def author(self) -> str:
        """The expert whose words the client reads."""
        return self.calls.author or self.decision.primary

    async def within(self, work: Awaitable[T]) -> T:
        """Return what `work` returns, within the deadline of the request; see `Calls.within`."""
        return await self.calls.within(work)

    @property
    def usage(self) -> Usage:
        """Tokens over all calls so far; none before it is entered."""
        return self.calls.usage if hasattr(self, "calls") else Usage()

    @property
    def cost_usd(self) -> float:
        """Cost over all calls so far, in USD; none before it is entered."""
        return self.calls.cost_usd if hasattr(self, "calls") else 0.0

    @property
    def answered(self) -> tuple[str, ...]:
        """Who has answered so far; see `Calls.answered`."""
        return self.calls.answered

    def explain(self) -> dict[str, Any]:
        """Return who was asked, why, and what it took, as plain JSON values."""
        return explanation(self.composition.name, self.decision, self.calls)


def answering(
    composition: Composition, request: Request, decision: Decision, calls: Calls
) -> AsyncGenerator[Chunk, None]:
    """Run the strategy of a composition, and send on what its screen lets through.

    Raises
    ------
    ContentFiltered
        The screen did not.
    MotetError
        From the strategy; or it failed otherwise, or ended without an answer.
    """
    chunks = _run(composition, request, decision, calls)
    screen = composition.screen
    if screen is None or screen.after is None:
        return chunks
    return screen.answer(chunks, request, calls)


async def _run(
    composition: Composition, request: Request, decision: Decision, calls: Calls
) -> AsyncGenerator[Chunk, None]:
    """Run the strategy of a composition, which may fail in ways of its own."""
    name, answered = composition.name, False
    try:
        async with aclosing(composition.strategy.run(request, decision, calls)) as chunks:
            async for chunk in chunks:
                answered = True
                yield chunk
    except MotetError:
        raise
    except Exception as error:
        # The edge to a strategy that is not ours, or to a library behind one.
        log.exception("request %s: the strategy of %s failed", request.id, name)
        raise InternalError from error
    if not answered:
        log.error("request %s: the strategy of %s ended without an answer", request.id, name)
        raise MotetError(f"The strategy of {name!r} ended without an answer.")
