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

_SLOTS = 8
"""Requests on one engine at once, where its options have no `max_batch`."""


class SwappedExpert(Expert):
    """An expert whose engine is in memory only while it is worth its place.

    Parameters
    ----------
    built
        The expert it stands for, which is never started itself.
    """

    def __init__(self, built: Expert, swapper: Swapper) -> None:
        super().__init__(built.entry, built.options, built.setting)
        self.card = built.card
        self._swapper = swapper

    async def start(self) -> None:
        """Learn what the engine takes; it is loaded when it is asked, or at once if it fits."""
        slots = int(getattr(self.options, "max_batch", _SLOTS))
        await self._swapper.admit(self.entry.id, slots=slots, pinned=self.entry.pinned)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer `request` once the engine is loaded; see `Expert.stream`.

        Raises
        ------
        ExpertUnavailable, ExpertOverloaded
            It had no turn within the bound, or too many wait.
        """
        name = self.entry.id
        async with self._swapper.lease(name, name):
            async with aclosing(self._swapper.engines.expert(name).stream(request)) as answer:
                async for chunk in answer:
                    yield chunk

    async def health(self) -> Health:
        """Return `asleep` while the engine is not there; a request wakes it."""
        if (loaded := self._swapper.loaded(self.entry.id)) is not None:
            self.card = loaded.card  # a loaded model knows more of itself than its config
        return await self._swapper.health(self.entry.id)


def swap(experts: dict[str, Expert], settings: Residency) -> Swapper:
    """Put a `SwappedExpert` in the place of every expert of this process that holds a model.

    Returns what keeps their engines within the memory that `settings` allow.
    """
    held = {name: expert for name, expert in experts.items() if expert.home == "pool"}
    rules = Rules(int(settings.memory), settings.max_wait_s, settings.max_waiting, settings.turn_s)
    swapper = Swapper(LocalEngines(held), rules, settings.policy)
    experts.update({name: SwappedExpert(expert, swapper) for name, expert in held.items()})
    return swapper
