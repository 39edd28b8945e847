"""Experts whose engines come and go: each request takes a lease, then asks as always."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from motet.config import Residency
from motet.experts import Expert
from motet.residency.actions import Rules
from motet.residency.engines import LocalEngines
from motet.residency.swapper import Swapper
from motet.types import Chunk, Health, Request


class SwappedExpert(Expert):
    """An expert whose engine is in memory only while it is worth its place.

    Parameters
    ----------
    built
        The expert it stands for, which is never started itself.
    engines
        What `swapper` loads.
    """

    def __init__(self, built: Expert, swapper: Swapper, engines: LocalEngines) -> None:
        super().__init__(built.entry, built.options, built.setting)
        self.card = built.card
        self._built = built
        self._swapper = swapper
        self._engines = engines

    @property
    def slots(self) -> int:
        """Requests on its engine at once; see `Expert.slots`."""
        return self._built.slots

    async def start(self) -> None:
        """Learn what the engine takes; it is loaded when it is asked, or at once if it fits."""
        await self._swapper.admit(self.entry.id, slots=self.slots, pinned=self.entry.pinned)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer `request` once the engine is loaded; see `Expert.stream`.

        Raises
        ------
        ExpertUnavailable, ExpertOverloaded
            It had no turn within the bound, or too many wait.
        """
        name = self.entry.id
        async with self._swapper.lease(name, name):
            async with aclosing(self._engines.expert(name).stream(request)) as answer:
                async for chunk in answer:
                    yield chunk

    async def health(self) -> Health:
        """Return `asleep` while the engine is not there; a request wakes it."""
        if self.entry.id in self._engines:  # a loaded model knows more than its config says
            self.card = self._engines.expert(self.entry.id).card
        return await self._swapper.health(self.entry.id)


def swap(experts: dict[str, Expert], settings: Residency) -> Swapper | None:
    """Put a `SwappedExpert` in the place of every expert of this process that holds a model.

    Returns what keeps their engines within the memory that `settings` allow; None when no expert
    of this process holds a model, as in the ingress of a cluster.
    """
    held = {name: expert for name, expert in experts.items() if expert.home == "pool"}
    if not held:
        return None
    engines = LocalEngines(held)
    swapper = Swapper(engines, Rules.of(settings), settings.policy)
    experts.update({name: SwappedExpert(built, swapper, engines) for name, built in held.items()})
    return swapper
