"""The expert calls of one request: begun under its budget, traced, and ended with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol

from motet.config import Limits
from motet.errors import BudgetExceeded, ExpertError, MotetError
from motet.types import Call, Chunk, ExpertCard, Price, Request, Usage


class Asked(Protocol):
    """What a call needs of an expert."""

    card: ExpertCard

    def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer `request`; see `Expert.stream`."""


class Experts(Protocol):
    """Experts by id: the live fleet, or a batch's journal of what they have answered."""

    def __getitem__(self, expert: str, /) -> Asked: ...


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


class Calls:
    """What a strategy asks experts through.

    Attributes
    ----------
    trace
        Every call so far, in the order they began.
    author
        The expert whose words the client reads; None before the first of them.
    """

    def __init__(self, fleet: Experts, limits: Limits) -> None:
        self.trace: list[Call] = []
        self.author: str | None = None
        self._fleet = fleet
        self._limits = limits
        self._began = time.monotonic()
        self._open: set[AsyncGenerator[Chunk, None]] = set()

    @property
    def usage(self) -> Usage:
        """Tokens over all calls."""
        return sum((call.usage for call in self.trace), Usage())

    @property
    def cost_usd(self) -> float:
        """Cost over all calls, in USD."""
        return sum(call.cost_usd for call in self.trace)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the request began."""
        return time.monotonic() - self._began

    def lead(self, expert: str) -> None:
        """Name the expert whose words go out from here on."""
        self.author = expert

    def stream(self, expert: str, request: Request) -> AsyncGenerator[Chunk, None]:
        """Ask `expert`; the call is in the trace from its first step on.

        Raises
        ------
        BudgetExceeded
            The calls, tokens or cost left do not allow it.
        ExpertError
            From the expert; the trace notes it.
        """
        return self._open_call(self._record(expert, request))

    async def draft(self, expert: str, request: Request, *, share: int = 1) -> Draft:
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
        call = self._admit(expert)
        text, finish = "", "stop"
        try:
            async with aclosing(
                self._open_call(self._record(expert, request, call, share))
            ) as answer:
                async for chunk in answer:
                    text += chunk.text
                    finish = chunk.finish or finish
        except asyncio.CancelledError:
            call.error = "stopped before its end"
            raise
        call.draft = without_thoughts(text)
        if not call.draft:
            call.error = "said nothing"
            raise ExpertError(expert, "said nothing.")
        return Draft(expert, call.draft, finish)

    def _open_call(self, call: AsyncGenerator[Chunk, None]) -> AsyncGenerator[Chunk, None]:
        self._open.add(call)
        return call

    async def close(self) -> None:
        """Stop every call still under way."""
        while self._open:
            await self._open.pop().aclose()

    async def _record(
        self, expert: str, request: Request, call: Call | None = None, share: int = 1
    ) -> AsyncGenerator[Chunk, None]:
        price = self._fleet[expert].card.price
        call = call or self._admit(expert)
        answer = self._fleet[expert].stream(self._within_budget(request, price, share))
        try:
            async for chunk in answer:
                if call.first_chunk is None:
                    call.first_chunk = self.elapsed_s
                if chunk.usage is not None:
                    call.usage = chunk.usage
                    call.cost_usd = price.of(chunk.usage)
                yield chunk
        except MotetError as error:
            call.error = str(error)
            raise
        finally:
            call.finished = self.elapsed_s
            await answer.aclose()

    def _admit(self, expert: str) -> Call:
        if len(self.trace) >= self._limits.expert_calls:
            raise BudgetExceeded(
                f"A request may make {self._limits.expert_calls} expert calls, and all are made.",
                hint="Raise expert_calls in the composition's limits.",
            )
        call = Call(expert, started=self.elapsed_s)
        self.trace.append(call)
        return call

    def _within_budget(self, request: Request, price: Price, share: int) -> Request:
        """Return `request` with max_tokens no higher than its share of tokens and USD left."""
        allowed = [request.max_tokens] if request.max_tokens is not None else []
        limits, prompt = self._limits, request.estimated_tokens
        if limits.total_tokens is not None:
            left = (limits.total_tokens - self.usage.total_tokens) // share - prompt
            allowed.append(_share(left, request, f"{limits.total_tokens} tokens"))
        if limits.cost_usd is not None and price.output > 0:
            usd = (limits.cost_usd - self.cost_usd) / share - price.of(Usage(prompt))
            left = int(usd * 1_000_000 / price.output)
            allowed.append(_share(left, request, f"{limits.cost_usd:g} USD"))
        return replace(request, max_tokens=min(allowed)) if allowed else request


def without_thoughts(text: str) -> str:
    """Return an answer less the `<think>` part that some models put before it.

    A thought that has no end was cut short, so there is no answer behind it.
    """
    _, end, answer = text.rpartition("</think>")
    if end:
        return answer.strip()
    return "" if text.lstrip().startswith("<think>") else text.strip()


def _share(left: int, request: Request, budget: str) -> int:
    """Return how many tokens each of the request's choices may still take."""
    if left < request.n:
        raise BudgetExceeded(
            f"The budget of {budget} for a request does not cover this prompt and an answer.",
            hint="Shorten the prompt, or raise the composition's limits.",
        )
    return left // request.n
