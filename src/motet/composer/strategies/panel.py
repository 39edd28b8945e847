"""A panel: several drafts at once, whoever fails among their authors left out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, replace

from motet.composer.calls import Calls, Draft
from motet.composer.relay import verdict
from motet.errors import ExpertTimeout, MotetError
from motet.types import Decision, Request


@dataclass(frozen=True, slots=True)
class Seat:
    """One draft of a panel: who writes it, and to what request."""

    expert: str
    request: Request


def panel_of(decision: Decision, size: int) -> list[str]:
    """Return who writes the drafts: the decision's experts in order, at most `size` of them.

    A weight says how often an expert was recruited: one drawn twice writes twice, and one of weight
    0 only stands by.
    """
    recruited = [c for c in decision.choices if c.weight > 0] or list(decision.choices)
    return [c.expert for c in recruited for _ in range(max(1, round(c.weight)))][:size]


def seats(request: Request, experts: Iterable[str], temperature: float) -> list[Seat]:
    """Return a seat for each of `experts`.

    Whoever writes more than once draws its words at `temperature`, unless the client chose a
    temperature over 0 itself, and from seeds of its own: greedy drafts would all be the same.
    """
    experts = list(experts)
    sampled = request.temperature or temperature
    placed: list[Seat] = []
    for number, expert in enumerate(experts):
        own = request
        if experts.count(expert) > 1:
            seed = None if request.seed is None else request.seed + number
            own = replace(request, temperature=sampled, seed=seed)
        placed.append(Seat(expert, own))
    return placed


async def drafts(
    placed: list[Seat], calls: Calls, *, seconds: float, share: int = 0
) -> AsyncGenerator[tuple[int, Draft | MotetError], None]:
    """Yield the number of a seat and its draft, or why there is none, as they come.

    Closing the generator stops the drafts still under way.

    Parameters
    ----------
    seconds
        How long a draft may take.
    share
        Calls that divide the budget; the panel's own number when 0.
    """
    share = share or len(placed)

    async def write(number: int, seat: Seat) -> tuple[int, Draft | MotetError]:
        try:
            async with asyncio.timeout(seconds):
                return number, await calls.draft(seat.expert, seat.request, share=share)
        except TimeoutError:
            return number, ExpertTimeout(seat.expert, f"took more than {seconds:g} s.")
        except MotetError as failure:
            return number, failure

    tasks = [asyncio.create_task(write(number, seat)) for number, seat in enumerate(placed)]
    try:
        for done in asyncio.as_completed(tasks):
            yield await done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def written(
    placed: list[Seat], calls: Calls, *, seconds: float, share: int = 0
) -> list[Draft]:
    """Return the drafts that came, in the order of their seats; see `drafts`.

    Raises
    ------
    MotetError
        None came: the one error that says best why.
    """
    came: dict[int, Draft] = {}
    failures: list[MotetError] = []
    async for number, draft in drafts(placed, calls, seconds=seconds, share=share):
        if isinstance(draft, Draft):
            came[number] = draft
        else:
            failures.append(draft)
    if not came:
        raise verdict(failures)
    return [came[number] for number in sorted(came)]
