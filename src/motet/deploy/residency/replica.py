"""A replica whose engine comes and goes: loaded, put away and looked at when the swapper says so.

The replica stays up, so a swap needs no new process, and what it puts away it may keep at hand.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import ray

from motet.config import ExpertEntry
from motet.errors import ExpertUnavailable, MotetError
from motet.experts.footprint import Footprint, footprint
from motet.weights import Setting
from motet.weights.sizes import available_memory

log = logging.getLogger(__name__)

_LAST_ANSWERS_S = 120.0
"""Seconds that answers under way have to end before their engine is put away all the same."""


@dataclass(frozen=True, slots=True)
class ReplicaStanding:
    """What a replica says of its engine.

    Attributes
    ----------
    node, device
        Where it lives: the id of the node, and what its memory is that of: the node or a GPU.
    loaded
        Whether it answers, or would but for `fault`.
    busy
        Whether it is being loaded or put away now.
    fault
        Why it answers no more, though loaded; empty while it does.
    free
        Bytes that the device has left, as measured now; None where nobody can say.
    host_free
        Bytes that programs of the node can take now.
    kept
        Bytes of weights that it keeps in the host's memory while it is away.
    """

    node: str
    device: str
    loaded: bool
    busy: bool
    fault: str
    free: int | None
    host_free: int
    kept: int = 0


def gpus_here() -> str:
    """Return the GPU that Ray gave to this process."""
    gpus = ray.get_runtime_context().get_accelerator_ids()["GPU"]
    return f"{node_id()}:gpu-{','.join(gpus)}"


def node_id() -> str:
    """Return the node that this replica is on."""
    return str(ray.get_runtime_context().get_node_id())


async def _gpus_of_process() -> str:
    return gpus_here()


@dataclass(frozen=True, slots=True)
class Here:
    """What a replica asks of the place where it is.

    Attributes
    ----------
    node, gpu
        Name the node, and the GPU that this replica was given.
    memory
        Measures the bytes that programs of the node can take now.
    account
        Counts what an expert takes, from the files of its weights.
    """

    node: Callable[[], str] = node_id
    gpu: Callable[[], Awaitable[str]] = _gpus_of_process
    memory: Callable[[], int] = available_memory
    account: Callable[[ExpertEntry, Setting], Footprint | None] = footprint


HERE = Here()
"""The replica's own place, as Ray and the system tell of it."""


class Residence(ABC):
    """What a pool's replica adds to its answers when the swapper decides over its engine."""

    _entry: ExpertEntry
    _setting: Setting
    _taken: Footprint | None = None
    _loaded = False
    _open = 0

    async def _settle(
        self, entry: ExpertEntry, setting: Setting, here: Here, *, swapped: bool
    ) -> None:
        """Take what the methods below need; called once, in the replica."""
        self._entry, self._setting, self._here = entry, setting, here
        self._swapped = swapped
        self._device = await self._locate()
        self._turning = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()

    async def _locate(self) -> str:
        """Return the name of the device whose memory the engine takes: the node's, or a GPU's."""
        return await self._here.gpu() if self._entry.resources.gpus else self._here.node()

    @abstractmethod
    async def _bring(self) -> None:
        """Load the engine; on an error nothing of it stays in memory."""

    @abstractmethod
    async def _put_away(self, host_room: int) -> None:
        """Give the engine's memory back; up to `host_room` bytes may stay in the host's."""

    @abstractmethod
    async def _fault(self) -> str:
        """Return why a loaded engine answers no more; empty while it does."""

    async def _free(self) -> int | None:
        """Return the bytes that the device has left."""
        return self._here.memory()

    def _kept(self) -> int:
        """Return the bytes that stay in the host's memory now."""
        return 0

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Keep the engine for an answer.

        Raises
        ------
        ExpertUnavailable
            It is not loaded.
        """
        if not self._loaded:
            raise ExpertUnavailable(self._entry.id, "its engine is not loaded.", retry_after=1.0)
        self._open += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self._idle.set()

    async def size(self) -> int | MotetError | None:
        """Return the bytes that the engine takes once loaded, from the files of its weights."""
        try:
            self._taken = await asyncio.to_thread(self._here.account, self._entry, self._setting)
        except MotetError as error:
            return error
        return None if self._taken is None else self._taken.loaded

    async def standing(self) -> ReplicaStanding:
        """Return how the engine stands."""
        return ReplicaStanding(
            node=self._here.node(),
            device=self._device,
            loaded=self._loaded,
            busy=self._turning.locked(),
            fault=await self._fault() if self._loaded else "",
            free=await self._free(),
            host_free=self._here.memory(),
            kept=self._kept(),
        )

    async def load(self) -> ReplicaStanding | MotetError:
        """Load the engine, unless it is there."""
        async with self._turning:
            if not self._loaded:
                try:
                    await self._bring()
                except MotetError as error:
                    return error
                except Exception as error:  # an engine may fail in ways of its own
                    log.exception("the engine of %s cannot be loaded", self._entry.id)
                    return ExpertUnavailable(self._entry.id, f"{type(error).__name__}: {error}")
                self._loaded = True
        return await self.standing()

    async def unload(self, host_room: int = 0) -> ReplicaStanding:
        """Put the engine away once its answers have ended; new ones are refused at once."""
        async with self._turning:
            if self._loaded:
                self._loaded = False  # no new answer begins, or those under way would never end
                try:
                    await asyncio.wait_for(self._idle.wait(), _LAST_ANSWERS_S)
                except TimeoutError:
                    log.warning("%s is put away under %d answers", self._entry.id, self._open)
                await self._put_away(host_room)
        return await self.standing()
