"""Experts of a batch as Serve pools: run when they are wanted, deleted when they are done."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from motet.config import Document
from motet.deploy import cluster
from motet.deploy.names import SWAPPER, pool_of
from motet.errors import DeployError
from motet.experts import Expert
from motet.residency.engines import Host, LocalEngines
from motet.residency.expert import LeasedExpert


class PoolLoader:
    """Pools on a Ray that is started for the batch, or on the one at `address`.

    Parameters
    ----------
    experts
        Built, and not started; those that only wait on a network are asked from this process.
    """

    at_once = 64
    answers_soon = True

    def __init__(
        self, document: Document, experts: Mapping[str, Expert], address: str | None = None
    ) -> None:
        # No client will come, but Serve opens its port all the same: not that of a service.
        self._document = document.with_service(port=_free_port())
        self._built = experts
        self._address = address
        self._local = LocalEngines(experts)
        self._callers: dict[str, Expert] = {}
        self._own: set[str] = set()
        self._swapped: set[str] = set()
        self._applications: Any = None
        self._leases: Any = None

    def host(self, expert: str) -> Host:
        """Return the pool's expert: its own, or the base whose engine its adapter shares."""
        built = self._built[expert]
        return Host(built.entry.host, always=built.home == "ingress")

    async def sizes(self, engines: Iterable[str]) -> dict[str, int | None]:
        """Read the sizes from the files of the weights, which are fetched if need be."""
        return await self._local.sizes(engines)

    def room(self) -> int | None:
        """Return a share of this machine's free memory; no bound on a cluster."""
        return self._local.room() if self._address is None else None

    async def open(self) -> None:
        """Start or join Ray, and start what needs no pool."""
        if self._address is None:
            cluster.prepare_environment()
        await asyncio.to_thread(cluster.start, self._document, self._address)
        self._meet()
        await self._local.open()

    def _meet(self) -> None:
        """Make what asks Serve, which must not be imported before its environment is set."""
        from motet.deploy.applications import Applications
        from motet.deploy.residency.client import ClusterLeases

        self._applications = Applications()
        self._leases = ClusterLeases(self._applications)

    async def load(self, engine: str) -> None:
        """Run the pool and wait for it; one that runs on the cluster already is used as it is.

        Raises
        ------
        DeployError
            It does not come up.
        """
        from ray import serve

        from motet.deploy import graph
        from motet.deploy.arguments import pool_arguments

        running = (await asyncio.to_thread(serve.status)).applications
        if pool_of(engine) in running:  # a service's, and not ours to delete
            if SWAPPER in running:
                self._swapped.add(engine)
            return
        self._own.add(engine)
        arguments = pool_arguments(self._document, engine)
        reason = await asyncio.to_thread(graph.run_pool, arguments)
        if reason is not None:
            raise DeployError(f"The pool of {engine!r} does not start: {reason}")

    def expert(self, expert: str) -> Expert:
        """Return a caller of the expert's pool, or the expert where it needs none."""
        from motet.deploy.pools.client import PoolExpert

        if expert in self._local:
            return self._local.expert(expert)
        if expert not in self._callers:
            caller: Expert = PoolExpert(self._built[expert], self._applications)
            if self.host(expert).id in self._swapped:
                caller = LeasedExpert(caller, self._leases)
            self._callers[expert] = caller
        return self._callers[expert]

    async def unload(self, engine: str) -> None:
        """Delete the pool, and wait until its replicas are gone."""
        from ray import serve

        if engine in self._own:
            await asyncio.to_thread(serve.delete, pool_of(engine))
            self._own.remove(engine)

    async def close(self) -> None:
        """Close what runs here, delete the pools, and stop or leave Ray."""
        await self._local.close()
        for engine in tuple(self._own):
            await self.unload(engine)
        if self._address is None:
            await asyncio.to_thread(cluster.stop)
        else:
            await asyncio.to_thread(cluster.disconnect)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
