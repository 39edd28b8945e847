"""Asking the next expert beside one that is late, and answering with whoever begins first.

Source: hedged requests, "The Tail at Scale" (Dean and Barroso, 2013).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, field
from math import ceil

from motet.composer.calls import Calls
from motet.composer.relay import Turn, first_chunk_of, verdict
from motet.errors import BudgetExceeded, ContextLengthExceeded, ExpertError, MotetError
from motet.types import Chunk, Request

_KEPT = 200
"""First chunks of an expert whose times are remembered."""
_ENOUGH = 20
"""Times from which a quantile says something."""

Patience = Callable[[str], float | None]
"""Seconds after which another is asked beside an expert that has not begun; None for never."""


class FirstChunks:
    """How long experts took to begin, lately."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_KEPT))

    def note(self, expert: str, seconds: float) -> None:
        """Note that an expert took so long."""
        self._seconds[expert].append(seconds)

    def quantile(self, expert: str, share: float) -> float | None:
        """Return the time within which it begins in `share` of all cases; None while unknown."""
        known = sorted(self._seconds[expert])
        return known[ceil(share * len(known)) - 1] if len(known) >= _ENOUGH else None


@dataclass(slots=True)
class _Runner:
    """An expert that was asked, until it begins."""

    expert: str
    request: Request
    answer: AsyncGenerator[Chunk, None]
    first: asyncio.Task[Chunk] = field(init=False)


async def race(
    turns: Iterable[Turn], calls: Calls, *, first_chunk_s: float, patience: Patience
) -> AsyncGenerator[Chunk, None]:
    """Send on the answer of whoever of `turns` begins first; see `relay`, which asks one by one.

    Parameters
    ----------
    first_chunk_s
        Seconds an expert has to begin.
    patience
        When the next is asked beside one that has not begun. Those that lose are stopped.

    Raises
    ------
    MotetError
        Nobody began: the one error that says best why.
    """
    waiting, running, failures = deque(turns), list[_Runner](), list[MotetError]()
    try:
        while waiting or running:
            if not running:
                running.append(_started(*waiting.popleft(), calls, first_chunk_s))
            after_s = patience(running[-1].expert) if waiting else None
            firsts = [runner.first for runner in running]
            done, _ = await asyncio.wait(
                firsts, timeout=after_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                running.append(_started(*waiting.popleft(), calls, first_chunk_s))
                continue
            runner = next(each for each in running if each.first in done)
            running.remove(runner)
            try:
                chunks = [runner.first.result()]
                if not runner.request.stream:
                    chunks += [chunk async for chunk in runner.answer]
            except (ExpertError, ContextLengthExceeded, BudgetExceeded) as failure:
                # Where the budget has no room for another, who was asked before may still answer.
                failures.append(failure)
                await runner.answer.aclose()
                continue
            try:
                await _stop(running)
                calls.lead(runner.expert)  # before the chunk goes out: headers name who speaks
                for chunk in chunks:
                    yield chunk
                async for chunk in runner.answer:
                    yield chunk
            finally:
                await runner.answer.aclose()
            return
    finally:
        await _stop(running)
    raise verdict(failures)


def _started(expert: str, request: Request, calls: Calls, seconds: float) -> _Runner:
    runner = _Runner(expert, request, calls.stream(expert, request))
    runner.first = asyncio.ensure_future(first_chunk_of(expert, runner.answer, seconds))
    return runner


async def _stop(running: list[_Runner]) -> None:
    """Stop those that have not begun, and forget them."""
    while running:
        runner = running.pop()
        runner.first.cancel()
        await asyncio.gather(runner.first, return_exceptions=True)
        await runner.answer.aclose()
