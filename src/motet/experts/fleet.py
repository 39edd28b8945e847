"""The experts of this process, started together and watched one by one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from motet.errors import MotetError
from motet.experts.base import Expert
from motet.types import READY, Fleet, Health, Member, State

log = logging.getLogger(__name__)

_RESTART_S = 10.0


class LiveFleet:
    """Experts with their live health.

    Attributes
    ----------
    view
        What routers read: an immutable `Fleet`, replaced when a health changes.
    """

    def __init__(self, experts: Iterable[Expert], *, health_interval_s: float = 1.0) -> None:
        self._experts = {expert.card.id: expert for expert in experts}
        self._health = dict.fromkeys(self._experts, Health(State.STARTING, "not started yet"))
        self._interval_s = health_interval_s
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.view = self._look()

    def __getitem__(self, expert: str) -> Expert:
        return self._experts[expert]

    def start(self) -> None:
        """Start every expert in the background; the service answers before they are ready."""
        self._tasks = [
            asyncio.create_task(self._watch(expert), name=f"watch {expert.card.id}")
            for expert in self._experts.values()
        ]

    async def close(self) -> None:
        """Stop watching, then close every expert."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(expert.close() for expert in self._experts.values()))

    def all_ready(self) -> LiveFleet:
        """Return the same experts, every one taken as ready: for decisions that can wait."""
        fleet = LiveFleet(self._experts.values())
        fleet.assume_ready()
        return fleet

    def assume_ready(self) -> None:
        """Take every expert as ready without starting it: for decisions that nobody will run."""
        self._health = dict.fromkeys(self._experts, READY)
        self.view = self._look()

    async def ready(self, expert: str | None = None) -> None:
        """Wait until `expert`, or when None any expert, can take a request."""
        wanted = list(self._health) if expert is None else [expert]
        while not any(self._health[name].ready for name in wanted):
            await self._changed.wait()

    async def _watch(self, expert: Expert) -> None:
        started = False
        while True:
            if started := started or await self._started(expert):
                self._note(expert, await expert.health())
            await asyncio.sleep(self._interval_s if started else _RESTART_S)

    async def _started(self, expert: Expert) -> bool:
        self._note(expert, Health(State.STARTING, "starting"))
        try:
            await expert.start()
        except MotetError as error:
            self._note(expert, Health(State.DOWN, str(error)))
            return False
        except Exception as error:
            # An engine may fail in ways of its own; one bad expert must not stop the others.
            log.exception("expert %s failed to start", expert.card.id)
            self._note(expert, Health(State.DOWN, f"{type(error).__name__}: {error}"))
            return False
        return True

    def _note(self, expert: Expert, health: Health) -> None:
        name = expert.card.id
        if health != self._health[name]:
            if health.state != self._health[name].state:
                log.info("expert %s is %s %s", name, health.state, health.reason)
            self._health[name] = health
            self.view = self._look()
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

    def _look(self) -> Fleet:
        return Fleet(
            Member(expert.card, self._health[name]) for name, expert in self._experts.items()
        )
