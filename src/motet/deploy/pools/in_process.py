"""Pools: replicas that hold a model and answer calls from the ingress.

A replica yields lists of chunks; an error travels as the last item, because Ray would wrap one
that is raised. `PoolExpert` in handles.py is the other end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import ray
from filelock import FileLock
from ray import serve
from ray.serve.config import RequestRouterConfig
from ray.serve.deployment import Application

from motet.config import ExpertEntry
from motet.deploy.names import DEVICES, DOOR, Parcel, device_resource, pool_of
from motet.deploy.pools.prefix_router import PrefixRouter
from motet.deploy.residency.replica import HERE, Here, Residence
from motet.errors import MotetError
from motet.experts.build import build, engine_of
from motet.residency.engines import LocalEngines
from motet.types import Request
from motet.weights import Setting

HEALTH_OPTIONS = {
    # Under load a replica's loop is late, not dead: restarting it would lose every open request.
    "health_check_period_s": 10.0,
    "health_check_timeout_s": 120.0,
    "graceful_shutdown_timeout_s": 20.0,
}

log = logging.getLogger(__name__)

SEAT = 0.01
"""Part of a GPU that Ray counts for an engine that comes and goes."""
CONTROL_CALLS = 8
"""Calls of the swapper that a replica takes beside its answers, so that none waits for them."""


@asynccontextmanager
async def engine_start(setting: Setting) -> AsyncIterator[None]:
    """Let one engine of this machine start at a time; started together they misjudge memory."""
    setting.cache.mkdir(parents=True, exist_ok=True)
    # The kernel frees the lock of a replica that dies while it starts.
    lock = FileLock(setting.cache / "engine-start.lock", thread_local=False)
    await asyncio.to_thread(lock.acquire)
    try:
        yield
    finally:
        lock.release()


class ExpertPool(Residence):
    """One replica of an expert whose engine runs inside it.

    Parameters
    ----------
    swapped
        Whether the cluster's swapper says when the engine is loaded, instead of at once.
    """

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self,
        entry: ExpertEntry,
        setting: Setting,
        *,
        swapped: bool = False,
        here: Here = HERE,
    ) -> None:
        await self._settle(entry, setting, here, swapped=swapped)
        self._engines = LocalEngines({entry.id: build(entry, setting)})
        if not swapped:
            await self._bring()
            self._loaded = True

    async def stream(
        self, expert: str, request: Request, adapter: str | None = None
    ) -> AsyncGenerator[Parcel, None]:
        """Answer `request`; only pools of vLLM have adapters."""
        try:
            with self._answering():
                async with aclosing(self._engines.expert(expert).stream(request)) as answer:
                    async for chunk in answer:
                        yield [chunk]
        except MotetError as error:
            yield error

    async def check_health(self) -> None:
        """Raise when the engine is dead, so that Serve replaces this replica.

        Where the swapper decides, it is told, and has the engine made anew in this replica.
        """
        if not self._swapped and (fault := await self._fault()):
            raise RuntimeError(fault)

    async def _bring(self) -> None:
        async with engine_start(self._setting):
            await self._engines.load(self._entry.id)

    async def _put_away(self, host_room: int) -> None:
        await self._engines.unload(self._entry.id)

    async def _free(self) -> int | None:
        torch = sys.modules.get("torch")  # the engine's own; without one nothing is to be measured
        if not self._entry.resources.gpus:
            return await super()._free()
        if torch is None or not torch.cuda.is_available():
            return None
        return int(torch.cuda.mem_get_info()[0])

    async def _fault(self) -> str:
        health = await self._engines.health(self._entry.id)
        return "" if health.ready else health.reason


def node_resources() -> dict[str, float]:
    """Return the resources of the connected Ray's nodes together; none where none is connected."""
    return dict(ray.cluster_resources()) if ray.is_initialized() else {}


def in_process_pool(
    entry: ExpertEntry,
    setting: Setting,
    *,
    swapped: bool = False,
    resources_of_nodes: Callable[[], Mapping[str, float]] = node_resources,
) -> Application:
    """Return the application of an expert whose engine runs inside its replicas."""
    resources = entry.resources
    # Of engines that take turns Ray is told next to nothing: the swapper sees to the memory.
    share = SEAT if swapped and resources.gpus else resources.gpus
    deployment = serve.deployment(
        ExpertPool,
        name=pool_of(entry.id),
        autoscaling_config=autoscaling(entry, build(entry, setting).slots),
        max_replicas_per_node=resources.replicas.per_node,
        max_ongoing_requests=64 + CONTROL_CALLS,
        max_queued_requests=256,
        ray_actor_options={
            "num_cpus": 1,
            "num_gpus": share,
            "resources": pin(entry, share, resources_of_nodes()),
            # Threads of torch that spin while they wait starve every other process of the machine.
            "runtime_env": {"env_vars": {"OMP_WAIT_POLICY": "passive"}},
        },
        **HEALTH_OPTIONS,
        **routing(entry),
    )
    return behind_door(entry, deployment.bind(entry, setting, swapped=swapped))


def pin(entry: ExpertEntry, share: float, nodes: Mapping[str, float]) -> dict[str, float]:
    """Return the custom resources that keep a replica on the node of its planned device.

    None where no node of the connected Ray was started with that device, nor will be: Ray chooses
    then.

    Parameters
    ----------
    nodes
        Resources of the connected Ray's nodes together.
    """
    device = entry.resources.device
    if device is None or not nodes:
        return {}
    name = device_resource(device)
    announced = os.environ.get(DEVICES, "").split(",")
    if device not in announced and name not in nodes:
        log.warning("no node has %s: Ray chooses where %s lives", name, entry.id)
        return {}
    return {name: share or SEAT}


def routing(entry: ExpertEntry) -> dict[str, Any]:
    """Return Serve's options for the choice of a replica."""
    if not _by_prefix(entry):
        return {}
    router = f"{PrefixRouter.__module__}.{PrefixRouter.__qualname__}"
    return {"request_router_config": RequestRouterConfig(request_router_class=router)}


def behind_door(entry: ExpertEntry, pool: Application) -> Application:
    """Return the application of a pool, with a root of its own where its replicas are chosen.

    With HAProxy, Serve refuses a router of ours on the root of an application, since HAProxy would
    not heed it; that nothing but handles ever calls a pool is not known to it.
    """
    if not _by_prefix(entry):
        return pool
    options = {"num_cpus": 0}
    name = pool_of(entry.id) + DOOR
    return serve.deployment(Door, name=name, ray_actor_options=options).bind(pool)


class Door:
    """The root of such an application, which nobody calls."""

    def __init__(self, pool: Any) -> None:
        """Take the handle of the pool, which makes the pool a part of the application."""


def _by_prefix(entry: ExpertEntry) -> bool:
    replicas = entry.resources.replicas
    caches = engine_of(entry).home == "vllm"
    wanted = caches if replicas.prefix_affinity is None else replicas.prefix_affinity
    return wanted and replicas.max > 1


def autoscaling(entry: ExpertEntry, target: int) -> dict[str, Any]:
    """Return Serve's autoscaling options for the replicas an expert may have."""
    replicas = entry.resources.replicas
    return {
        "min_replicas": replicas.min,
        "initial_replicas": replicas.min,
        "max_replicas": replicas.max,
        "target_ongoing_requests": target,
    }
