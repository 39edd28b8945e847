"""The engine in this process: weights loaded, requests made into jobs, a worker that generates.

What is loaded, and what a request means to it, an engine is given; their life is here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from motet.config import ExpertEntry
from motet.errors import ConfigError, ExpertRejected, ExpertUnavailable, SourceError
from motet.generation.batching import Worker
from motet.generation.loading import release
from motet.generation.options import GenerationOptions
from motet.generation.rows import ContinuousBatch, GenerationJob
from motet.types import Chunk, Health, Request, State

_UNSUPPORTED = ("frequency_penalty", "presence_penalty", "logit_bias", "suffix", "echo")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load has made.

    Attributes
    ----------
    batches
        The rows of each model, which run in turn.
    job
        Makes a request's job, or refuses it; called on one thread of its own.
    max_batch
        Most answers generated at once: as the options say, or fewer where a model cannot.
    """

    batches: Sequence[ContinuousBatch]
    job: Callable[[Request, asyncio.AbstractEventLoop], GenerationJob]
    max_batch: int


Load = Callable[[Callable[[Any], None]], Loaded]
"""Loads, and hands over every model as soon as it is there: closing frees a half of them too."""


class GenerationEngine:
    """Models of one expert from their loading to their end, behind one thread that runs them.

    Parameters
    ----------
    load
        Called once, off the event loop.
    """

    def __init__(self, entry: ExpertEntry, options: GenerationOptions, load: Load) -> None:
        self._entry = entry
        self._options = options
        self._load = load
        self._health = Health(State.STARTING, "weights are not loaded yet")
        self._loading: asyncio.Future[Loaded] | None = None
        self._loaded: Loaded | None = None
        self._worker: Worker | None = None
        self._models: list[Any] = []
        # Not on the loop, which long prompts would stall, and not on many threads at once.
        self._reading = ThreadPoolExecutor(1, thread_name_prefix=f"motet-{entry.id}-tokens")

    @property
    def running(self) -> int:
        """Answers being generated now."""
        return self._worker.running if self._worker else 0

    @property
    def waiting(self) -> int:
        """Jobs that have not begun."""
        return self._worker.waiting if self._worker else 0

    async def start(self) -> None:
        """Load, and start the worker.

        Raises
        ------
        SourceError
            Weights cannot be had, or transformers cannot load them.
        ConfigError
            A file that the options name cannot be read.
        """
        self._health = Health(State.STARTING, "loading weights")
        loop = asyncio.get_running_loop()
        self._loading = loop.run_in_executor(None, self._load, self._models.append)
        try:
            loaded = await asyncio.shield(self._loading)
        except (SourceError, ConfigError) as error:
            self._health = Health(State.DOWN, str(error))
            raise
        self._loaded = loaded
        self._worker = Worker(
            self._entry.id, loaded.batches, loaded.max_batch, self._options.max_queue
        )
        self._worker.start()
        self._health = Health(State.READY)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer `request`; see `Expert.stream`.

        Raises
        ------
        ContextLengthExceeded
            With the exact numbers, before any work.
        ExpertOverloaded
            Too many requests wait already.
        ExpertRejected
            The request asks for what this engine cannot do.
        ExpertError
            The model failed.
        """
        worker, loaded = self._worker, self._loaded
        if worker is None or loaded is None:
            raise ExpertUnavailable(self._entry.id, f"{self._health.reason}.")
        self._refuse_unsupported(request, loaded.max_batch)
        loop = asyncio.get_running_loop()
        job = await loop.run_in_executor(self._reading, loaded.job, request, loop)
        worker.submit(job)
        try:
            while True:
                item = await job.chunks.get()
                if isinstance(item, Exception):
                    raise item
                yield item
                if item.usage is not None:
                    return
        finally:
            worker.cancel(job)

    async def health(self) -> Health:
        """Return whether the worker takes requests."""
        worker = self._worker
        if self._health.ready and worker and (worker.fault or not worker.is_alive()):
            return Health(State.DOWN, worker.fault or "its worker has ended")
        return self._health

    async def close(self) -> None:
        """End the worker; requests that are open fail. Weights are freed, half-loaded ones too."""
        self._health = Health(State.DOWN, "it is closed")
        if self._loading:  # a thread cannot be called off
            await asyncio.gather(self._loading, return_exceptions=True)
        worker, self._worker = self._worker, None
        if worker:
            worker.close()
            if worker.is_alive():
                await asyncio.to_thread(worker.join)
        # What it is at may run a model too, and its request learns of the end from the worker.
        await asyncio.to_thread(self._reading.shutdown)
        # The batches and what makes jobs hold models too, which nobody may meet any more.
        self._loaded = self._loading = None
        while self._models:
            release(self._models.pop())

    def _refuse_unsupported(self, request: Request, max_batch: int) -> None:
        used = [name for name in _UNSUPPORTED if request.extra.get(name)]
        if used:
            raise ExpertRejected(
                self._entry.id,
                f"the engine {self._entry.engine!r} cannot do {', '.join(used)}.",
            )
        if request.n > max_batch:
            raise ExpertRejected(
                self._entry.id,
                f"n is {request.n}, but it generates at most {max_batch} answers at once.",
                hint="Lower n, or raise max_batch.",
            )
