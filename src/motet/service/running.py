"""One set of parts at work: its fleet watched, its routers started, its answers counted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from motet.composer.parts import Parts
from motet.composer.pipeline import Pipeline
from motet.errors import MotetError
from motet.experts.fleet import LiveFleet
from motet.operations.base import Observer
from motet.routers import Router

log = logging.getLogger(__name__)


class Running:
    """Parts at work.

    Parameters
    ----------
    before
        What these parts come in place of: experts and routers that are in both go on as they are.
    """

    def __init__(self, parts: Parts, observer: Observer, before: Running | None = None) -> None:
        self.parts = parts
        self.fleet: LiveFleet = LiveFleet(
            parts.experts.values(),
            health_interval_s=parts.document.config.service.health_interval_s,
            before=None if before is None else before.fleet,
        )
        self.pipeline = Pipeline(parts, self.fleet, observer)
        self._starting: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start experts and routers in the background.

        Compositions that need no model answer at once.
        """
        self.fleet.start()
        self._starting = [
            asyncio.create_task(_start(router), name=f"start {router.name}")
            for router in _once(self.parts.routers.values())
        ]

    async def close(self, successor: Parts | None = None) -> None:
        """Give back everything but what `successor` goes on with."""
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        if successor is None or successor.encoders is not self.parts.encoders:
            self.parts.encoders.close()
        await self.fleet.close()
        swapper = self.parts.swapper
        if swapper is not None and (successor is None or successor.swapper is not swapper):
            await swapper.close()


def _once(routers: Iterable[Router]) -> Iterable[Router]:
    return dict.fromkeys(routers)


async def _start(router: Router) -> None:
    try:
        await router.start()
    except MotetError as error:
        log.error("router %s cannot decide: %s", router.name, error)
