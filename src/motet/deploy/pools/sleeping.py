"""vLLM's sleep: an engine leaves its GPU, and its process stays to come back soon.

At level 1 the weights move to the host's memory, and waking copies them back. At level 2 they are
dropped, and waking reads them from the disk again. Keys and values are dropped at both. This module
imports neither vLLM nor torch: a worker of vLLM imports it too.
"""

from __future__ import annotations

import logging
from typing import Any

from motet.errors import ExpertUnavailable
from motet.units import mib

log = logging.getLogger(__name__)

EXTENSION = f"{__name__}.SleepExtension"
"""What an engine that is to sleep names as its `worker_extension_cls`."""


class SleepExtension:
    """What vLLM's worker on a GPU is asked besides."""

    def free_bytes(self) -> int:
        """Return the bytes that the worker's GPU has left for anybody."""
        import torch

        return int(torch.accelerator.get_memory_info()[0])


class Sleeper:
    """One engine, and how deep it sleeps.

    Parameters
    ----------
    client
        vLLM's `AsyncLLM`.
    weights
        Bytes of its weights, as level 1 keeps them; None when nobody knows.
    adapters
        Whether it may hold adapters, which nothing but level 1 brings back.

    Attributes
    ----------
    level
        0 while it is awake.
    freed
        Bytes that its last sleep gave back on the fullest of its GPUs, which waking takes again.
    """

    def __init__(self, client: Any, weights: int | None, *, adapters: bool) -> None:
        self._client = client
        self._weights = weights
        self._adapters = adapters
        self.level = 0
        self.freed = 0

    @property
    def kept(self) -> int:
        """Bytes of the host's memory that its weights take now."""
        return (self._weights or 0) if self.level == 1 else 0

    async def free(self) -> int:
        """Return the bytes that the fullest of its GPUs has left, as measured now."""
        return int(min(await self._client.collective_rpc("free_bytes")))

    async def sleep(self, host_room: int) -> bool:
        """Leave the GPU; return whether that freed memory.

        It does not where vLLM cannot sleep, nor with adapters and too little room: then the engine
        has to be ended.

        Parameters
        ----------
        host_room
            Bytes of the host's memory that its weights may take.
        """
        fits = self._weights is not None and self._weights <= host_room
        if self._adapters and not fits:
            return False
        level = 1 if fits else 2
        before = await self.free()
        await self._client.sleep(level=level)
        self.level, self.freed = level, await self.free() - before
        log.info("sleeps at level %d, which freed %s", level, mib(max(0, self.freed)))
        return self.freed > 0

    async def wake(self, expert: str) -> None:
        """Take the GPU again.

        Raises
        ------
        ExpertUnavailable
            The GPU has less left than that takes; it sleeps on.
        """
        free = await self.free()
        if free < self.freed:
            reason = f"waking takes {mib(self.freed)}, and its GPU has {mib(free)} left."
            raise ExpertUnavailable(expert, reason, retry_after=2.0)
        if self.level == 1:
            await self._client.wake_up()
        else:  # in parts, as vLLM says, so that reading finds room before the cache takes it
            await self._client.wake_up(tags=["weights"])
            await self._client.collective_rpc("reload_weights")
            await self._client.wake_up(tags=["kv_cache"])
            await self._client.reset_prefix_cache()
        self.level = 0
