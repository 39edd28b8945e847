"""Leases on engines that come and go: does what the scheduler says, with real loads and a clock."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Protocol

from motet.errors import ExpertOverloaded, ExpertUnavailable, MotetError
from motet.residency.actions import Bounds, Load, Refuse, Start, Unload
from motet.residency.engine import Engine, Ticket
from motet.residency.engines import SwappedEngines
from motet.residency.ledger import EngineState
from motet.residency.policy import POLICIES
from motet.residency.scheduler import Scheduler
from motet.types import READY, Health, State

log = logging.getLogger(__name__)

_START_S, _LOAD_RATE = 1.0, 500e6
"""What loading is taken to cost before the first load: seconds, and bytes a second."""


class Watcher(Protocol):
    """Is told what happens, for metrics."""

    def leased(self, expert: str, outcome: str, seconds: float) -> None:
        """Note the end of waiting: `hit`, `waited`, `refused` or `left`."""

    def loaded(self, engine: str, outcome: str, seconds: float) -> None:
        """Note the end of a load: `ok` or `failed`."""

    def unloaded(self, engine: str) -> None:
        """Note that an engine has left."""

    def holds(self, used: int, budget: int) -> None:
        """Note the bytes that engines take, of those they may."""


class Swapper:
    """Keeps engines within a bound of memory, and lets requests wait for theirs.

    Everything happens on one event loop. A request holds a lease while it runs; an engine is
    unloaded only when nobody holds one.

    Attributes
    ----------
    watcher
        Told of hits, waits, loads and evictions, if there is one.
    """

    def __init__(self, engines: SwappedEngines, bounds: Bounds, policy: str = "worth") -> None:
        self.engines = engines
        self.watcher: Watcher | None = None
        self._bounds = bounds
        self._policy = policy
        self._scheduler = self._fresh()
        self._granted: dict[Ticket, asyncio.Future[Start | Refuse]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._unknown: set[str] = set()

    @property
    def used(self) -> int:
        """Bytes that engines take now."""
        return self._scheduler.ledger.used

    async def admit(self, engine: str, *, slots: int, pinned: bool, loaded: bool = False) -> None:
        """Make an engine known; from then on it can be leased.

        Parameters
        ----------
        loaded
            Whether it is there already, from before this swapper was.

        Raises
        ------
        SourceError
            Its weights cannot be had.
        """
        size = (await self.engines.sizes([engine]))[engine]
        bounds = self._scheduler.bounds
        if size is None:
            self._unknown.add(engine)
        taken = bounds.budget if size is None else size  # of unknown size, it is loaded alone
        load_s = _START_S + taken / _LOAD_RATE
        self._scheduler.add(Engine(engine, taken, load_s, slots, pinned), loaded=loaded)
        self._pump()

    def withdraw(self, engine: str, reason: str) -> bool:
        """Forget an engine that is not loaded; return whether it is forgotten.

        Whoever waits for it is refused with the reason.
        """
        if self._scheduler.engines[engine].state is not EngineState.ABSENT:
            return False
        self._scheduler.remove(engine, reason)
        self._pump()
        return True

    @asynccontextmanager
    async def lease(self, engine: str, expert: str) -> AsyncIterator[None]:
        """Wait until `engine` is loaded and has room, and keep it so for the block.

        Raises
        ------
        ExpertUnavailable
            It cannot be loaded, or not within the bound; says why, and who holds the memory.
        ExpertOverloaded
            Too many requests wait already.
        """
        began = self._now()
        if engine not in self._scheduler.engines:
            raise ExpertUnavailable(expert, "it is not known yet what it takes.", retry_after=5.0)
        ticket = self._scheduler.ask(engine, began)
        outcome = "left"
        try:
            match await self._decision(ticket):
                case Refuse(_, reason, retry_after, full):
                    outcome = "refused"
                    kind = ExpertOverloaded if full else ExpertUnavailable
                    raise kind(expert, f"{reason}.", retry_after=retry_after)
                case Start():
                    outcome = "hit" if ticket.hit and self._now() - began < 1e-2 else "waited"
            if self.watcher:
                self.watcher.leased(expert, outcome, self._now() - began)
            yield
        finally:
            # However waiting ended, the ticket leaves: nothing is to be loaded for nobody.
            if self.watcher and outcome in ("left", "refused"):
                self.watcher.leased(expert, outcome, self._now() - began)
            self._scheduler.leave(ticket, self._now())
            self._pump()

    async def health(self, engine: str) -> Health:
        """Return whether requests for an engine are served, and what they wait for."""
        now = self._now()
        known = self._scheduler.engines[engine]
        match known.state:
            case EngineState.LOADED:
                health = await self.engines.health(engine)
                if not health.ready:  # it is made anew on the next request
                    log.warning("engine %s is %s (%s)", engine, health.state, health.reason)
                    self._scheduler.dismiss(engine)
                    self._pump()
                    return health
                return READY
            case EngineState.LOADING:
                return Health(State.ASLEEP, f"loading; {known.waiting} requests wait")
            case EngineState.UNLOADING:
                return Health(State.ASLEEP, "leaving for another expert")
        if (excess := self._scheduler.exchange.excess(known)) is not None:
            return Health(State.DOWN, excess)
        if now < known.retry_at:
            return Health(State.DOWN, f"it could not be loaded: {known.error}")
        return Health(State.ASLEEP, f"loads in about {known.load_s:.2g} s when it is asked")

    async def close(self) -> None:
        """Refuse who waits, and unload and forget everything; engines may be admitted anew."""
        if self._timer:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for ticket, granted in self._granted.items():
            if not granted.done():
                granted.set_result(Refuse(ticket, "the service is stopping", 5.0))
        await self.engines.close()
        self._scheduler = self._fresh()
        self._unknown.clear()

    def _fresh(self) -> Scheduler:
        return Scheduler(self._bounds, POLICIES[self._policy](), self.engines.free)

    async def _decision(self, ticket: Ticket) -> Start | Refuse:
        """Return how a request's waiting ended."""
        granted: asyncio.Future[Start | Refuse] = asyncio.get_running_loop().create_future()
        self._granted[ticket] = granted
        try:
            self._pump()
            return await granted
        finally:
            del self._granted[ticket]

    def _pump(self) -> None:
        """Do all that can be done now, and come back when time alone changes that.

        It never waits, since every request comes through here: loads and unloads are tasks, and
        each pumps again when it ends.
        """
        while action := self._scheduler.next(self._now()):
            match action:
                case Start(ticket) | Refuse(ticket):
                    granted = self._granted[ticket]
                    if not granted.done():
                        granted.set_result(action)
                case Load(engine):
                    self._run(self._load(engine), f"load {engine}")
                case Unload(engine):
                    self._run(self._unload(engine), f"unload {engine}")
        if self._timer:
            self._timer.cancel()
            self._timer = None
        wake_at = self._scheduler.wake_at
        if wake_at < math.inf:
            self._timer = asyncio.get_running_loop().call_at(wake_at, self._pump)
        self._tell()

    async def _load(self, engine: str) -> None:
        began = self._now()
        try:
            await self.engines.load(engine)
        except Exception as error:
            # An engine may fail in ways of its own; one bad expert must not stop the others.
            log.log(
                logging.WARNING if isinstance(error, MotetError) else logging.ERROR,
                "engine %s cannot be loaded: %s",
                engine,
                error,
                exc_info=not isinstance(error, MotetError),
            )
            self._scheduler.failed(engine, self._now(), error)
            outcome = "failed"
        else:
            if engine in self._unknown:
                await self._learn_size(engine)
            self._scheduler.loaded(engine, self._now(), self._now() - began)
            outcome = "ok"
        if self.watcher:
            self.watcher.loaded(engine, outcome, self._now() - began)
        self._pump()

    async def _learn_size(self, engine: str) -> None:
        """Take the size of an engine whose weights came with its first load."""
        try:
            size = (await self.engines.sizes([engine]))[engine]
        except MotetError as error:
            log.warning("the size of engine %s stays unknown: %s", engine, error)
            return
        if size is not None:
            self._unknown.discard(engine)
            self._scheduler.ledger.resize(self._scheduler.engines[engine], size)

    async def _unload(self, engine: str) -> None:
        try:
            await self.engines.unload(engine)
        except Exception:
            log.exception("engine %s did not close cleanly", engine)
        self._scheduler.unloaded(engine)
        if self.watcher:
            self.watcher.unloaded(engine)
        self._pump()

    def _run(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _tell(self) -> None:
        if self.watcher:
            self.watcher.holds(self._scheduler.ledger.used, self._scheduler.bounds.budget)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
