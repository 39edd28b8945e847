"""One set of parts at work: its fleet watched, its routers started, its answers counted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable

from motet.composer.parts import Parts
from motet.composer.pipeline import Pipeline
from motet.errors import MotetError
from motet.experts.fleet import LiveFleet
from motet.operations.base import Observer
from motet.operations.sessions import ConversationMemory
from motet.operations.tracing import Tracing
from motet.routers import Router

log = logging.getLogger(__name__)


class Running:
    """Parts at work.

    Parameters
    ----------
    beside
        Others at work, or about to end: what these parts share with one of them goes on as it is,
        and ends with the last of them.
    tracing, memory
        See `Pipeline`.

    Attributes
    ----------
    is_ending
        Whether it is being closed, or is closed.
    """

    def __init__(
        self,
        parts: Parts,
        observer: Observer,
        beside: Collection[Running] = (),
        tracing: Tracing | None = None,
        memory: ConversationMemory | None = None,
    ) -> None:
        self.parts = parts
        self._beside = beside
        self.is_ending = False
        self.fleet: LiveFleet = LiveFleet(
            parts.experts.values(),
            health_interval_s=parts.document.config.service.health_interval_s,
            beside=[each.fleet for each in beside],
        )
        self.pipeline = Pipeline(parts, self.fleet, observer, tracing=tracing, memory=memory)
        self._starting: list[asyncio.Task[MotetError | None]] = []

    def start(self) -> None:
        """Start experts and routers in the background.

        Compositions that need no model answer at once.
        """
        self.is_ending = False
        self.fleet.start()
        self._starting = [
            asyncio.create_task(_start(router), name=f"start {router.name}")
            for router in _once(self.parts.routers.values())
        ]

    async def started(self) -> None:
        """Wait until every router can decide.

        Raises
        ------
        MotetError
            From one that cannot.
        """
        for failure in await asyncio.gather(*self._starting):
            if failure is not None:
                raise failure

    async def close(self) -> None:
        """Give back everything but what others go on with."""
        self.is_ending = True
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        if all(parts.encoders is not self.parts.encoders for parts in self._others()):
            self.parts.encoders.close()
        await self.fleet.close()
        swapper = self.parts.swapper
        if swapper is not None and all(parts.swapper is not swapper for parts in self._others()):
            await swapper.close()

    def _others(self) -> list[Parts]:
        """Return the parts that go on when these end; there may be more by the end of a wait."""
        return [each.parts for each in self._beside if not each.is_ending]


def _once(routers: Iterable[Router]) -> Iterable[Router]:
    return dict.fromkeys(routers)


async def _start(router: Router) -> MotetError | None:
    try:
        await router.start()
    except MotetError as error:
        log.error("router %s cannot decide: %s", router.name, error)
        return error
    return None
