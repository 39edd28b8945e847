"""The swapper of a cluster: one Serve replica that decides whose engines are loaded.

A Serve application of one replica rather than an actor with a name: Serve starts it anew when it
dies, on a node that is there, its callers find it by a handle, and a Serve config can hold it. What
decides is `motet.residency`, as in a single process, with one scheduler for each device. It keeps
nothing that is worth saving: a new one asks the pools what they have loaded, and a lease is freed
when the process that took it no longer says that it holds it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry
from ray import serve
from ray.serve.deployment import Application

from motet.config import Document
from motet.deploy.applications import Applications
from motet.deploy.names import SWAPPER, pool_of
from motet.deploy.residency.engines import PoolEngines, SwappedPool
from motet.deploy.residency.pulse import USUAL, Pulse
from motet.errors import ExpertUnavailable, MotetError
from motet.experts.build import build
from motet.operations.swap_metrics import SwapMetrics
from motet.residency.actions import Bounds
from motet.residency.swapper import Swapper
from motet.types import Health, State
from motet.weights import Setting, default_cache

log = logging.getLogger(__name__)

NOT_UP = Health(State.STARTING, "its pool is not up yet")


@dataclass(slots=True)
class _HeldLease:
    """A place on an engine that a process holds, and when it last said so."""

    place: AsyncExitStack
    heard_at: float


class ClusterSwapper:
    """Gives out leases on the engines of all pools.

    Parameters
    ----------
    document
        Experts with pools, and `residency`.
    applications
        Where the pools are; Serve's own, as this replica sees them, when absent.
    """

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self,
        document: Document,
        applications: Applications | None = None,
        pulse: Pulse = USUAL,
    ) -> None:
        settings = document.config.residency
        assert settings is not None, "deployed only where a config has the section"
        self._bounds, self._policy = Bounds.of(settings), settings.policy
        entries = sorted(document.config.experts, key=lambda entry: not entry.pinned)
        self._applications = applications or Applications()
        self._pulse = pulse
        self._pools = {entry.id: SwappedPool(entry, self._applications, pulse) for entry in entries}
        self._host_memory = int(settings.host_memory)
        self._setting = Setting(document.folder, default_cache())
        self._swappers: dict[str, Swapper] = {}
        self._devices: dict[str, str] = {}
        self._watcher = _DeviceTotals(SwapMetrics(CollectorRegistry()), self._swappers)
        self._settling: dict[str, asyncio.Task[None]] = {}
        self._leases: dict[str, _HeldLease] = {}
        self._view: dict[str, Health] = {}
        self._heard = asyncio.Event()
        self._watching = asyncio.create_task(self._watch())

    async def take(self, lease: str, engine: str, expert: str) -> MotetError | None:
        """Wait until `engine` is loaded and has room, and keep it so until `give_back`.

        Returns why not, as a value, because Ray would wrap an error that is raised.
        """
        await self._heard.wait()
        place = AsyncExitStack()
        try:
            if engine not in self._devices:
                raise ExpertUnavailable(expert, f"{NOT_UP.reason}.", retry_after=5.0)
            swapper = self._swappers[self._devices[engine]]
            await place.enter_async_context(swapper.lease(engine, expert))
        except MotetError as error:
            return error
        self._leases[lease] = _HeldLease(place, time.monotonic())
        return None

    async def give_back(self, lease: str) -> None:
        """End a lease; one that is unknown has ended already."""
        if (held := self._leases.pop(lease, None)) is not None:
            await held.place.aclose()

    async def renew(self, leases: list[str]) -> dict[str, Health]:
        """Hear which leases a process still holds, and tell it how every engine is."""
        await self._heard.wait()  # until it has looked at the pools it would say that none is up
        now = time.monotonic()
        for lease in leases:
            if (held := self._leases.get(lease)) is not None:
                held.heard_at = now
        return self._view

    async def _watch(self) -> None:
        """Look at the pools, and for leases that nobody holds any more, once a second."""
        while True:
            try:
                await self._look()
                for lease, held in list(self._leases.items()):
                    if time.monotonic() - held.heard_at > self._pulse.silence_s:
                        log.warning("lease %s is freed: whoever held it is silent", lease)
                        await self.give_back(lease)
            except Exception:
                # Whatever one look fails of, leases and engines need the next one.
                log.exception("the swapper goes on after a fault")
            await asyncio.sleep(self._pulse.look_s)

    async def _look(self) -> None:
        running = await self._applications.running()
        await asyncio.gather(
            *(pool.look(up=pool_of(name) in running) for name, pool in self._pools.items())
        )
        # What is loaded comes first, or its memory would be given to others.
        for name in sorted(self._pools, key=lambda name: not self._pools[name].loaded):
            if name not in self._settling:
                self._settling[name] = asyncio.create_task(self._settle(name, self._pools[name]))
                self._settling[name].add_done_callback(partial(self._settled, name))
            if self._pools[name].loaded and (task := self._settling.get(name)):
                await asyncio.wait([task], timeout=self._pulse.settle_s)
        if self._settling:
            await asyncio.wait(self._settling.values(), timeout=self._pulse.settle_s)
        self._view = {name: await self._health(name) for name in self._pools}
        self._heard.set()

    def _settled(self, name: str, task: asyncio.Task[None]) -> None:
        del self._settling[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s cannot be admitted", name, exc_info=error)

    async def _settle(self, name: str, pool: SwappedPool) -> None:
        """Admit an engine to the swapper of its device, which another replica of it may change.

        A task of its own: whoever is asked for its size may have to fetch its weights first.
        """
        said = pool.said
        if said is None or said.busy:
            return  # whether it is loaded is known when that has ended
        if (device := self._devices.get(name)) == said.device:
            return
        if device is not None:
            if not self._swappers[device].withdraw(name, "its pool has moved to another device"):
                return
            del self._devices[name]
        if said.device not in self._swappers:
            engines = PoolEngines(self._pools, said.device, self._host_memory)
            self._swappers[said.device] = Swapper(engines, self._bounds, self._policy)
            self._swappers[said.device].watcher = self._watcher
        entry = pool.entry
        slots = build(entry, self._setting).slots
        try:
            await self._swappers[said.device].admit(
                name, slots=slots, pinned=entry.pinned, loaded=said.loaded
            )
        except MotetError as error:
            pool.fault = str(error)
        else:
            self._devices[name] = said.device
            pool.fault = ""

    async def _health(self, name: str) -> Health:
        if name in self._devices:
            return await self._swappers[self._devices[name]].health(name)
        fault = self._pools[name].fault
        return Health(State.DOWN, fault) if fault else NOT_UP


class _DeviceTotals:
    """Metrics of the swappers of all devices, with what they hold together."""

    def __init__(self, metrics: SwapMetrics, swappers: dict[str, Swapper]) -> None:
        self.leased, self.loaded, self.unloaded = metrics.leased, metrics.loaded, metrics.unloaded
        self._metrics, self._swappers = metrics, swappers

    def holds(self, used: int, budget: int) -> None:
        """Show the bytes of all devices, whichever of them changed."""
        held = sum(swapper.used for swapper in self._swappers.values())
        self._metrics.holds(held, budget * len(self._swappers))


def swapper(document: Document) -> Application:
    """Return the application of the swapper."""
    deployment = serve.deployment(
        ClusterSwapper,
        name=SWAPPER,
        num_replicas=1,
        # Whoever waits for an engine is a call under way; `max_waiting` is the bound.
        max_ongoing_requests=100_000,
        health_check_period_s=2.0,
        health_check_timeout_s=30.0,
        # One that goes gives out no lease any more: who waits asks its successor.
        graceful_shutdown_timeout_s=0.5,
        graceful_shutdown_wait_loop_s=0.1,
        ray_actor_options={"num_cpus": 0.1},
    )
    return deployment.bind(document)
