"""The one seam to loading and unloading, and the engines of this process behind it."""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from motet.experts import Expert
from motet.experts.build import build
from motet.experts.footprint import default_budget, sizes_of
from motet.types import Health
from motet.weights.sizes import available_memory


@dataclass(frozen=True, slots=True)
class Host:
    """Whose engine answers for an expert.

    Attributes
    ----------
    id
        The expert itself, or the one whose engine its adapter shares.
    always
        Whether it is there without being loaded, such as a remote one.
    """

    id: str
    always: bool = False


class Engines(Protocol):
    """Loads and unloads engines; knows nothing of who waits for them."""

    async def sizes(self, engines: Iterable[str]) -> dict[str, int | None]:
        """Return the bytes that engines take once loaded; None where that is unknown.

        Raises
        ------
        SourceError
            Weights cannot be had.
        """

    async def load(self, engine: str) -> None:
        """Load an engine; its experts can be asked afterwards.

        Raises
        ------
        MotetError
            It cannot be loaded; nothing is left of it in memory.
        """

    async def unload(self, engine: str) -> None:
        """Give back what `load` took."""

    async def close(self) -> None:
        """Give back everything."""


class SwappedEngines(Engines, Protocol):
    """What a swapper asks besides, since it holds engines for as long as a service runs."""

    async def health(self, engine: str) -> Health:
        """Return whether an engine that is loaded can be asked."""

    def free(self) -> int | None:
        """Return the bytes that the device has left, as measured now; None where nobody can say."""


class LocalEngines:
    """Experts as objects in this process; those that hold a model are made anew for each load.

    Serves a swapper, and a batch (see `motet.batch.loading.Loader`).

    Parameters
    ----------
    experts
        Built, and not started.
    """

    at_once = 16
    answers_soon = True

    def __init__(self, experts: Mapping[str, Expert]) -> None:
        self._built = experts
        self._up: dict[str, Expert] = {}
        # transformers cannot be imported by two threads at once, and loads would share the disk.
        self._loading = asyncio.Lock()

    def host(self, expert: str) -> Host:
        """Return the expert's own engine: none is shared in one process."""
        return Host(expert, always=self._built[expert].home == "ingress")

    async def sizes(self, engines: Iterable[str]) -> dict[str, int | None]:
        """Read the sizes from the files of the weights, which are fetched if need be."""
        held = {e: self._built[e] for e in engines if self._built[e].home != "ingress"}
        return await asyncio.to_thread(sizes_of, held)

    def room(self) -> int | None:
        """Return the bytes to take when nobody says: a share of the memory that is free now."""
        return default_budget()

    def free(self) -> int | None:
        """Return the memory that this machine can give to programs now."""
        return available_memory()

    async def open(self) -> None:
        """Start what holds no model."""
        for name, expert in self._built.items():
            if expert.home == "ingress":
                await expert.start()
                self._up[name] = expert

    async def load(self, engine: str) -> None:
        """Start the expert, as a new object: closing ends one for good."""
        built = self._built[engine]
        expert = build(built.entry, built.setting, built.options, type(built))
        async with self._loading:
            try:
                await expert.start()
            except BaseException:
                await expert.close()
                raise
            finally:
                if expert.home != "ingress":
                    await asyncio.to_thread(_trim)  # loading leaves behind what it has converted
        self._up[engine] = expert

    async def health(self, engine: str) -> Health:
        """Return what the started expert says."""
        return await self._up[engine].health()

    def expert(self, expert: str) -> Expert:
        """Return a started expert."""
        return self._up[expert]

    def get(self, expert: str) -> Expert | None:
        """Return an expert if it is started; None while it is not."""
        return self._up.get(expert)

    def __contains__(self, expert: str) -> bool:
        """Return whether an expert is started."""
        return expert in self._up

    async def unload(self, engine: str) -> None:
        """Close the expert, and have its weights freed before the next is loaded."""
        expert = self._up.pop(engine)
        await expert.close()
        if expert.home != "ingress":
            await asyncio.to_thread(_trim)

    async def close(self) -> None:
        """Close every expert that is up."""
        while self._up:
            await self.unload(next(iter(self._up)))


def _trim() -> None:
    """Give back to the system what is freed, which stays with the process otherwise."""
    torch = sys.modules.get("torch")  # the engine's own
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        pass  # not glibc
