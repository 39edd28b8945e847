"""Experts whose engines come and go: each request takes a lease, then asks as always."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from functools import partial
from typing import Protocol

from motet.config import Residency
from motet.experts import Expert
from motet.residency.actions import Bounds
from motet.residency.engines import LocalEngines
from motet.residency.swapper import Swapper
from motet.types import Chunk, Health, Request


class Leases(Protocol):
    """Gives out places on engines: this process's swapper, or the client of a cluster's."""

    async def admit(self, engine: str, *, slots: int, pinned: bool) -> None:
        """Make an engine known; from then on it can be leased."""

    def lease(self, engine: str, expert: str) -> AbstractAsyncContextManager[None]:
        """Wait until `engine` is loaded and has room, and keep it so for the block.

        Raises
        ------
        ExpertUnavailable, ExpertOverloaded
            It had no turn within the bound, or too many wait.
        """

    async def health(self, engine: str) -> Health:
        """Return whether requests for an engine are served, and what they wait for."""


class LeasedExpert(Expert):
    """An expert whose engine is in memory only while it is worth its place.

    Parameters
    ----------
    built
        The expert it stands for.
    there
        Returns who answers while the engine is loaded, and None while it is not; `built` itself
        when absent.
    """

    def __init__(
        self,
        built: Expert,
        leases: Leases,
        there: Callable[[], Expert | None] | None = None,
    ) -> None:
        super().__init__(built.entry, built.options, built.setting)
        self.card = built.card
        self._built = built
        self._leases = leases
        self._there = there or (lambda: built)
        self._waiting = 0

    @property
    def slots(self) -> int:
        """Requests on its engine at once; see `Expert.slots`."""
        return self._built.slots

    @property
    def waiting(self) -> int:
        """Requests that wait for its engine, or for a place there; see `Expert.waiting`."""
        return self._waiting + self._built.waiting

    async def start(self) -> None:
        """Make the engine known; it is loaded when it is asked, or at once if it fits."""
        entry = self.entry
        await self._leases.admit(entry.host, slots=self.slots, pinned=entry.pinned)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer `request` once the engine is loaded; see `Expert.stream`.

        Raises
        ------
        ExpertUnavailable, ExpertOverloaded
            It had no turn within the bound, or too many wait.
        """
        async with AsyncExitStack() as held:
            self._waiting += 1
            try:
                await held.enter_async_context(self._leases.lease(self.entry.host, self.entry.id))
            finally:
                self._waiting -= 1
            loaded = self._there()
            assert loaded is not None, "nobody is unloaded under a lease"
            async with aclosing(loaded.stream(request)) as answer:
                async for chunk in answer:
                    yield chunk

    async def health(self) -> Health:
        """Return `asleep` while the engine is not there; a request wakes it."""
        loaded = self._there()
        if loaded is not None:  # a loaded model knows more than its config says
            self.card = loaded.card
        return await self._leases.health(self.entry.host)


def swap(experts: dict[str, Expert], settings: Residency) -> Swapper | None:
    """Put a `LeasedExpert` in the place of every expert of this process that holds a model.

    Returns what keeps their engines within the memory that `settings` allow; None when no expert
    of this process holds a model, as in the ingress of a cluster.
    """
    held = {name: expert for name, expert in experts.items() if expert.home == "pool"}
    if not held:
        return None
    engines = LocalEngines(held)
    swapper = Swapper(engines, Bounds.of(settings), settings.policy)
    for name, built in held.items():
        experts[name] = LeasedExpert(built, swapper, partial(engines.get, name))
    return swapper
