"""The seam between a batch and its experts: what can be loaded, asked and unloaded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Protocol

from motet.batch.scheduler import Engine
from motet.composer.calls import Asked
from motet.errors import BatchError, ExpertUnavailable
from motet.experts import Expert
from motet.experts.fleet import LiveFleet
from motet.residency.engines import LocalEngines


class Loader(Protocol):
    """Gives experts to a batch, and takes them back."""

    at_once: int
    """Lines that ask one engine at once, when nobody says."""

    def engine(self, expert: str) -> Engine:
        """Return what is loaded for `expert`."""

    async def sizes(self, engines: Iterable[str]) -> dict[str, int | None]:
        """Return the bytes that engines take once loaded; None where that is unknown.

        Raises
        ------
        SourceError
            Weights cannot be had.
        """

    def room(self) -> int | None:
        """Return the bytes that a batch may take when nobody says; None for no bound."""

    async def open(self) -> None:
        """Take what is needed before the first load."""

    async def load(self, engine: str) -> None:
        """Load an engine; its experts can be asked afterwards.

        Raises
        ------
        MotetError
            It cannot be loaded; whoever wants it is told so.
        """

    def expert(self, expert: str) -> Asked:
        """Return an expert whose engine is loaded."""

    async def unload(self, engine: str) -> None:
        """Give back what `load` took."""

    async def close(self) -> None:
        """Give back everything."""


class LocalLoader(LocalEngines):
    """Experts as objects in this process; see `LocalEngines`."""

    at_once = 16

    def __init__(self, experts: Mapping[str, Expert]) -> None:
        for name, expert in experts.items():
            if expert.home == "vllm":
                raise BatchError(
                    f"Expert {name!r}: the engine {expert.entry.engine!r} runs on Ray.",
                    hint="Run the batch without --local.",
                )
        super().__init__(experts)

    def engine(self, expert: str) -> Engine:
        """Return the expert's own engine: none is shared in one process."""
        return Engine(expert, always=self._built[expert].home == "ingress")

    async def open(self) -> None:
        """Start what holds no model."""
        for name, expert in self._built.items():
            if expert.home == "ingress":
                await expert.start()
                self._up[name] = expert


class LiveLoader:
    """The experts of a running service: to load one is to wait until it is ready.

    Parameters
    ----------
    patience_s
        Seconds that an expert has to become ready; afterwards others stand in for it.
    """

    at_once = 16

    def __init__(self, fleet: LiveFleet, patience_s: float = 120.0) -> None:
        self._fleet = fleet
        self._patience_s = patience_s

    def engine(self, expert: str) -> Engine:
        """Return the expert itself."""
        return Engine(expert)

    async def sizes(self, engines: Iterable[str]) -> dict[str, int | None]:
        """Return that nothing takes memory that it has not taken."""
        return dict.fromkeys(engines, 0)

    def room(self) -> int | None:
        """Return no bound."""
        return None

    async def open(self) -> None:
        """Do nothing."""

    async def load(self, engine: str) -> None:
        """Wait until the expert is ready."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._fleet.ready(engine)
        except TimeoutError:
            reason = self._fleet.view[engine].health.reason
            raise ExpertUnavailable(engine, f"{reason or 'it is not ready'}.") from None

    def expert(self, expert: str) -> Asked:
        """Return the live expert."""
        return self._fleet[expert]

    async def unload(self, engine: str) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
