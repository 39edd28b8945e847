"""Engines in pools, as the swapper of a cluster loads and unloads them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

from motet.config import ExpertEntry
from motet.deploy.applications import Applications
from motet.deploy.names import pool_of
from motet.deploy.residency.pulse import USUAL, Pulse
from motet.deploy.residency.replica import ReplicaStanding
from motet.errors import ExpertUnavailable, MotetError
from motet.types import READY, Health, State


class SwappedPool:
    """The one replica of a pool, as the swapper sees it.

    Attributes
    ----------
    said
        What it said last; None while there is no replica.
    fault
        Why its engine cannot be admitted.
    """

    def __init__(
        self, entry: ExpertEntry, applications: Applications, pulse: Pulse = USUAL
    ) -> None:
        self.entry = entry
        self.said: ReplicaStanding | None = None
        self.fault = ""
        self._turned_at = 0.0
        self._applications = applications
        self._pulse = pulse

    @property
    def loaded(self) -> bool:
        """Whether its engine was loaded when it was last heard."""
        return self.said is not None and self.said.loaded

    async def look(self, *, up: bool) -> None:
        """Ask how the engine stands; one that is too busy to answer stands as it stood."""
        if not up:
            self.said = None
            return
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(self._pulse.standing_s):
                said = await self._call("standing")
        except (TimeoutError, MotetError):
            return
        if asked_at > self._turned_at:  # else it speaks of before the last load or unload
            self.said = said

    async def size(self) -> int | None:
        """Return the bytes that the engine takes; see `Engines.sizes`."""
        size: int | None = await self._call("size")
        return size

    async def turn(self, how: str, *arguments: Any) -> None:
        """Have the engine loaded or unloaded.

        Raises
        ------
        MotetError
            It cannot be loaded, or its replica died.
        """
        try:
            self.said = await self._call(how, *arguments)
        finally:
            self._turned_at = time.monotonic()

    async def _call(self, method: str, *arguments: Any) -> Any:
        return await self._applications.call(pool_of(self.entry.id), method, *arguments)


class PoolEngines:
    """The engines that live on one device; see `motet.residency.engines.Engines`.

    Parameters
    ----------
    pools
        All pools of the cluster: sleepers on other devices of a node share its memory.
    host_memory
        Bytes of a node's memory for the weights of engines that sleep.
    """

    def __init__(self, pools: Mapping[str, SwappedPool], device: str, host_memory: int) -> None:
        self._pools = pools
        self._device = device
        self._host_memory = host_memory

    async def sizes(self, engines: Iterable[str]) -> dict[str, int | None]:
        """Ask the pools, whose nodes have the weights."""
        return {engine: await self._pools[engine].size() for engine in engines}

    async def load(self, engine: str) -> None:
        """Have the replica load its engine.

        Raises
        ------
        MotetError
            It cannot be loaded, or there is no replica now.
        """
        if self._pools[engine].said is None:
            raise ExpertUnavailable(engine, "its pool has no replica.", retry_after=5.0)
        await self._pools[engine].turn("load")

    async def unload(self, engine: str) -> None:
        """Have the replica put its engine away; a replica that is gone has none."""
        said = self._pools[engine].said
        if said is not None:
            await self._pools[engine].turn("unload", self._host_room(said))

    async def health(self, engine: str) -> Health:
        """Return whether the replica has the engine still, and the engine no fault."""
        said = self._pools[engine].said
        if said is None:
            return Health(State.DOWN, "its pool has no replica")
        if not said.loaded:
            return Health(State.DOWN, "its replica is a new one")
        return Health(State.DOWN, said.fault) if said.fault else READY

    def free(self) -> int | None:
        """Return the least that a replica on the device measured last."""
        there = [pool.said for pool in self._pools.values() if pool.said is not None]
        measured = [s.free for s in there if s.device == self._device and s.free is not None]
        return min(measured, default=None)

    async def close(self) -> None:
        """Leave everything as it is: the next swapper finds it."""

    def _host_room(self, of: ReplicaStanding) -> int:
        """Return the bytes that may stay in a node's memory when one more engine leaves."""
        there = [pool.said for pool in self._pools.values() if pool.said is not None]
        kept = sum(said.kept for said in there if said.node == of.node)
        return max(0, min(self._host_memory - kept, of.host_free))
