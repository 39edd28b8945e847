"""What a strategy wants next, found by running it against the answers there are.

A strategy asks experts and waits for them. In a batch an expert may be loaded hours later, and no
task, time-out or prompt should stand in memory until then. So the strategy itself, unmodified, is
run again from its start for each step: calls that were answered before answer at once from the
journal, a call that was not is noted, and when nothing else moves the run is dropped. The calls it
wanted are made when their experts are loaded; then it is run again. A crash is no special case.
(This is durable execution by replay, as in workflow engines.)

A strategy must therefore ask the same when it is told the same, which all do that draw from the
request's seed or id. One that does not is still answered, within its budget of calls.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from copy import copy
from dataclasses import dataclass, field

import orjson

from motet.batch.answers import Said
from motet.batch.plan import Planned
from motet.composer.answer import answering
from motet.composer.calls import Calls, Members
from motet.composer.parts import Composition
from motet.errors import MotetError
from motet.experts.wire.request import body_of
from motet.types import Chunk, ExpertCard, Fleet, Request
from motet.whole import Whole, collect

_TURNS = 8
"""Turns of the event loop in which a strategy that waits may begin further calls beside it."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A call that a strategy wants.

    Attributes
    ----------
    key
        Names the call within its line: the expert, a digest of what it is asked, and which of
        several equal calls this is.
    """

    key: str
    expert: str
    request: Request


@dataclass(slots=True)
class Ending:
    """How a strategy ended: what it said, or the error that it raised."""

    answer: Whole = field(default_factory=Whole)
    error: MotetError | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What a replay came to: calls to make, or else the end."""

    calls: Calls
    asks: tuple[Ask, ...] = ()
    ending: Ending | None = None


async def replay(
    composition: Composition,
    request: Request,
    planned: Planned,
    fleet: Fleet,
    answers: Mapping[str, Said],
    members: Members | None = None,
) -> Step:
    """Run a strategy against `answers`, by their keys, and say what it wants next.

    Parameters
    ----------
    members
        The compositions that it may ask as if they were experts.
    """
    journal = _Journal(fleet, answers)
    decision, asked = planned.decision, map(copy, planned.asked)
    calls = Calls(journal, composition.limits, composition.name, before=asked, members=members)
    async with aclosing(answering(composition, request, decision, calls)) as chunks:
        run = asyncio.create_task(_whole(chunks))
        try:
            await journal.wait(run)
            if run.done():
                return Step(calls, ending=run.result())
            return Step(calls, asks=tuple(journal.wanted))
        finally:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
            await calls.close()


async def _whole(chunks: AsyncGenerator[Chunk, None]) -> Ending:
    ending = Ending()
    try:
        await collect(chunks, ending.answer)
    except MotetError as error:
        ending.error = error
    return ending


class _Journal:
    """The experts as a replay sees them: they say what they said before, or are noted and wait."""

    def __init__(self, fleet: Fleet, answers: Mapping[str, Said]) -> None:
        self._fleet = fleet
        self._answers = answers
        self._asked: Counter[str] = Counter()
        self._waiting = asyncio.get_running_loop().create_future()
        self.wanted: list[Ask] = []

    def __getitem__(self, expert: str) -> _Recorded:
        return _Recorded(self._fleet[expert].card, self)

    def answer(self, expert: str, request: Request) -> Said | None:
        """Return what `expert` said, or note that it shall be asked."""
        digest = _digest(expert, request)
        self._asked[digest] += 1
        key = f"{digest}:{self._asked[digest]}"
        if key not in self._answers:
            self.wanted.append(Ask(key, expert, request))
            if not self._waiting.done():
                self._waiting.set_result(None)
        return self._answers.get(key)

    async def wait(self, run: asyncio.Task[Ending]) -> None:
        """Wait until `run` has ended or has nothing to do but wait for experts."""
        await asyncio.wait({run, self._waiting}, return_when=asyncio.FIRST_COMPLETED)
        # A strategy that asks several at once begins them in tasks, one a turn of the loop: it has
        # come to rest when a few turns bring no further call.
        known = -1
        while not run.done() and known != len(self.wanted):
            known = len(self.wanted)
            for _ in range(_TURNS):
                await asyncio.sleep(0)


@dataclass(slots=True)
class _Recorded:
    """One expert of a `_Journal`."""

    card: ExpertCard
    journal: _Journal

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        said = self.journal.answer(self.card.id, request)
        if said is None:
            await asyncio.get_running_loop().create_future()  # until this replay is dropped
            return
        async for chunk in said.play():
            yield chunk


def _digest(expert: str, request: Request) -> str:
    # What is asked, and not the request's id or caller: the same question is the same call in
    # every replay, and after a restart.
    asked = {**body_of(request, expert), "fused": request.fused}
    body = orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)
    return f"{expert}:{hashlib.sha256(body).hexdigest()[:24]}"
