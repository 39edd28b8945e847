"""The experts of this process, started together and watched one by one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from motet.errors import MotetError
from motet.experts.base import Expert
from motet.types import Fleet, Health, Member, State

log = logging.getLogger(__name__)

_HEALTH_S = 30.0
_RESTART_S = 10.0
_NEW = Health(State.STARTING, "not started yet")


class ReadyFleet:
    """Experts that are taken as ready: for decisions that can wait, or that nobody will run.

    Attributes
    ----------
    view
        What routers read.
    """

    def __init__(self, experts: Iterable[Expert]) -> None:
        self.view = Fleet(Member(expert.card) for expert in experts)


class LiveFleet:
    """Experts with their live health.

    Parameters
    ----------
    beside
        Fleets that are at work or about to end. An expert that is the same object in one of them is
        not started again, and closed with the last fleet that has it.
    """

    def __init__(
        self,
        experts: Iterable[Expert],
        *,
        health_interval_s: float = 1.0,
        beside: Iterable[LiveFleet] = (),
    ) -> None:
        known = {id(w.expert): w for fleet in beside for w in fleet._watches.values()}
        self._watches: dict[str, _Watch] = {
            expert.card.id: known.get(id(expert)) or _Watch(expert, health_interval_s)
            for expert in experts
        }
        self._changed = asyncio.Event()
        self._view: Fleet | None = None

    @property
    def view(self) -> Fleet:
        """What routers read: an immutable `Fleet`, another one once a health has changed."""
        # Made when it is read: while a large fleet starts, many healths change between two reads.
        if self._view is None:
            self._view = Fleet(watch.member for watch in self._watches.values())
        return self._view

    def __getitem__(self, expert: str) -> Expert:
        return self._watches[expert].expert

    def start(self) -> None:
        """Start every expert in the background; the service answers before they are ready."""
        elsewhere: dict[str, list[str]] = {}
        for name, watch in self._watches.items():
            elsewhere.setdefault(watch.expert.elsewhere, []).append(name)
        for reason, names in elsewhere.items():
            if reason:
                log.error("no answers here from %s: %s", ", ".join(names), reason)
        for watch in self._watches.values():
            watch.join(self)
        self.look()

    async def close(self) -> None:
        """Watch no more, and close the experts that no other fleet has."""
        await asyncio.gather(*(watch.leave(self) for watch in self._watches.values()))

    async def ready(self, expert: str | None = None) -> None:
        """Wait until `expert`, or when None any expert, can take a request."""
        wanted = list(self._watches) if expert is None else [expert]
        while not any(self._watches[name].health.ready for name in wanted):
            await self._changed.wait()

    async def settled(self, expert: str | None = None) -> None:
        """Wait until `expert`, or when None any expert, is ready, or none is on its way to be."""
        wanted = list(self._watches) if expert is None else [expert]
        while True:
            health = [self._watches[name].health for name in wanted]
            starting = any(each.state is State.STARTING for each in health)
            if not starting or any(each.ready for each in health):
                return
            await self._changed.wait()

    def look(self) -> None:
        """Take note that a health has changed."""
        self._view = None
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class _Watch:
    """One expert, started and looked after for as long as some fleet has it."""

    def __init__(self, expert: Expert, interval_s: float) -> None:
        self.expert = expert
        self.member = Member(expert.card, _NEW)
        self._interval_s = interval_s
        self._fleets: list[LiveFleet] = []
        self._ending = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def health(self) -> Health:
        """How the expert was when it was last asked."""
        return self.member.health

    def join(self, fleet: LiveFleet) -> None:
        """Tell `fleet` of changes, and start the expert if this is its first fleet."""
        self._fleets.append(fleet)
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name=f"watch {self.expert.card.id}")

    async def leave(self, fleet: LiveFleet) -> None:
        """Tell `fleet` nothing more, and close the expert if it was its last fleet."""
        if fleet in self._fleets:
            self._fleets.remove(fleet)
        if self._fleets:
            return
        task, self._task = self._task, None
        # A fleet that comes meanwhile must not ask it.
        self.member = Member(self.expert.card, _NEW)
        async with self._ending:
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            try:
                await self.expert.close()
            except Exception:
                # An engine may fail in ways of its own; one bad expert must not keep the others up.
                log.exception("expert %s failed to close", self.expert.card.id)

    async def _watch(self) -> None:
        async with self._ending:
            pass  # a fleet that comes while the last one leaves starts it anew
        started = False
        while True:
            if started := started or await self._started():
                self._note(await self._health())
            await asyncio.sleep(self._interval_s if started else _RESTART_S)

    async def _started(self) -> bool:
        self._note(Health(State.STARTING, "starting"))
        try:
            await self.expert.start()
        except MotetError as error:
            self._note(Health(State.DOWN, str(error)))
            return False
        except Exception as error:
            # An engine may fail in ways of its own; one bad expert must not stop the others.
            log.exception("expert %s failed to start", self.expert.card.id)
            self._note(Health(State.DOWN, f"{type(error).__name__}: {error}"))
            return False
        return True

    async def _health(self) -> Health:
        try:
            async with asyncio.timeout(_HEALTH_S):
                return await self.expert.health()
        except (Exception, asyncio.CancelledError, SystemExit) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # It promises not to raise, and not to wait long; one that does either, or that ends
            # where something it waited for was cancelled, must not be taken as ready for ever.
            log.exception("expert %s does not know its health", self.expert.card.id)
            return Health(State.DOWN, f"{type(error).__name__}: {error}")

    def _note(self, health: Health) -> None:
        if health != self.health:
            if health.state != self.health.state:
                log.info("expert %s is %s %s", self.expert.card.id, health.state, health.reason)
            self.member = Member(self.expert.card, health)
            for fleet in self._fleets:
                fleet.look()
