"""The seam between a batch and its experts: what can be loaded, asked and unloaded."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable, Mapping
from typing import Protocol

from motet.batch.scheduler import Engine
from motet.batch.sizes import default_budget, sizes_of
from motet.composer.calls import Asked, Experts
from motet.errors import BatchError
from motet.experts import Expert


class Loader(Protocol):
    """Gives experts to a batch, and takes them back."""

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


class LocalLoader:
    """Experts as objects in this process; those that hold a model are made anew for each load.

    Parameters
    ----------
    experts
        Built, and not started.
    """

    def __init__(self, experts: Mapping[str, Expert]) -> None:
        for name, expert in experts.items():
            if expert.home == "vllm":
                raise BatchError(
                    f"Expert {name!r}: the engine {expert.entry.engine!r} runs on Ray.",
                    hint="Run the batch without --local.",
                )
        self._built = experts
        self._up: dict[str, Expert] = {}

    def engine(self, expert: str) -> Engine:
        """Return the expert's own engine: none is shared in one process."""
        return Engine(expert, always=self._built[expert].home == "ingress")

    async def sizes(self, engines: Iterable[str]) -> dict[str, int | None]:
        """Read the sizes from the files of the weights, which are fetched if need be."""
        held = {e: self._built[e] for e in engines if self._built[e].home != "ingress"}
        return await asyncio.to_thread(sizes_of, held)

    def room(self) -> int | None:
        """Return a share of the memory that is free now."""
        return default_budget()

    async def open(self) -> None:
        """Start what holds no model."""
        for name, expert in self._built.items():
            if expert.home == "ingress":
                await expert.start()
                self._up[name] = expert

    async def load(self, engine: str) -> None:
        """Start the expert, as a new object: closing ends one for good."""
        built = self._built[engine]
        expert = type(built)(built.entry, built.options, built.setting)
        try:
            await expert.start()
        except BaseException:
            await expert.close()
            raise
        self._up[engine] = expert

    def expert(self, expert: str) -> Expert:
        """Return a started expert."""
        return self._up[expert]

    async def unload(self, engine: str) -> None:
        """Close the expert, and have its weights freed before the next is loaded."""
        expert = self._up.pop(engine)
        await expert.close()
        del expert
        await asyncio.to_thread(gc.collect)  # models hold themselves in circles

    async def close(self) -> None:
        """Close every expert that is up."""
        while self._up:
            _, expert = self._up.popitem()
            await expert.close()


class LiveLoader:
    """The experts of a running service: they are there, and nothing is loaded for a batch."""

    def __init__(self, experts: Experts) -> None:
        self._experts = experts

    def engine(self, expert: str) -> Engine:
        """Return an engine that is always there."""
        return Engine(expert, always=True)

    async def sizes(self, engines: Iterable[str]) -> dict[str, int | None]:
        """Return nothing: there is nothing to load."""
        return {}

    def room(self) -> int | None:
        """Return no bound."""
        return None

    async def open(self) -> None:
        """Do nothing."""

    async def load(self, engine: str) -> None:
        """Do nothing."""

    def expert(self, expert: str) -> Asked:
        """Return the live expert."""
        return self._experts[expert]

    async def unload(self, engine: str) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
