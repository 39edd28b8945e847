"""What a batch asks of the engines: whose there are, how much they may take, and their experts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Protocol

from motet.composer.calls import Asked
from motet.errors import BatchError, ExpertUnavailable
from motet.experts import Expert
from motet.experts.fleet import LiveFleet
from motet.residency.engines import Engines, Host, LocalEngines


class Loader(Engines, Protocol):
    """Gives experts to a batch, and takes them back."""

    at_once: int
    """Lines that ask one engine at once, when nobody says."""

    answers_soon: bool
    """Whether an expert that is loaded answers a few calls at once, as those of a router."""

    def host(self, expert: str) -> Host:
        """Return what is loaded for `expert`."""

    def room(self) -> int | None:
        """Return the bytes that a batch may take when nobody says; None for no bound."""

    async def open(self) -> None:
        """Take what is needed before the first load."""

    def expert(self, expert: str) -> Asked:
        """Return an expert whose engine is loaded."""


def local_engines(experts: Mapping[str, Expert]) -> LocalEngines:
    """Return the experts as objects in this process.

    Raises
    ------
    BatchError
        One of them runs on Ray alone.
    """
    for name, expert in experts.items():
        if expert.home == "vllm":
            raise BatchError(
                f"Expert {name!r}: the engine {expert.entry.engine!r} runs on Ray.",
                hint="Run the batch without --local.",
            )
    return LocalEngines(experts)


class LiveLoader:
    """The experts of a running service: to load one is to wait until it is ready.

    Parameters
    ----------
    patience_s
        Seconds that an expert has to become ready; afterwards others stand in for it.
    """

    at_once = 16
    answers_soon = True

    def __init__(self, fleet: LiveFleet, patience_s: float = 120.0) -> None:
        self._fleet = fleet
        self._patience_s = patience_s

    def host(self, expert: str) -> Host:
        """Return the expert itself."""
        return Host(expert)

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
