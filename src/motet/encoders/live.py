"""Encoding for a live service: off the event loop, concurrent requests in one batch, cached."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from motet.encoders.encoder import Backend, Encoder, encoder
from motet.weights import Setting

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


class Encodes(Protocol):
    """What turns texts to vectors, blocking."""

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return `[texts, width]`."""


def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="encoder")


class Batcher:
    """Answers one text at a time from any number of tasks of an event loop.

    While a batch is under way the next one gathers, so a lone request waits for nobody and a
    crowd shares the work. Equal texts are encoded once. Vectors are kept, the least recently used
    leave first.

    Parameters
    ----------
    encoder
        What encodes; only one thread calls it.
    cache_bytes
        Bound on the vectors and texts that are kept.
    batch
        Most texts in one call.
    """

    def __init__(self, encoder: Encodes, *, cache_bytes: int = 64 << 20, batch: int = 32) -> None:
        self._encoder = encoder
        self._batch = batch
        self._cache_bytes = cache_bytes
        self._held = 0
        self._cache: OrderedDict[str, Floats] = OrderedDict()
        self._waiting: OrderedDict[str, list[asyncio.Future[Floats]]] = OrderedDict()
        self._thread = _thread()
        self._worker: asyncio.Task[None] | None = None

    @property
    def held_bytes(self) -> int:
        """Bytes of what is cached now."""
        return self._held

    async def embed(self, text: str) -> Floats:
        """Return the `[width]` vector of `text`.

        A caller that is cancelled leaves the others of its batch alone.
        """
        if (vector := self._cache.get(text)) is not None:
            self._cache.move_to_end(text)
            return vector
        future: asyncio.Future[Floats] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(text, []).append(future)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name="encoder batches")
        return await future

    def close(self) -> None:
        """Let the thread go once its work is done; whoever asks again gets another."""
        ending, self._thread = self._thread, _thread()
        ending.shutdown(wait=False, cancel_futures=True)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := self._next():
            texts = list(batch)
            try:
                vectors = await loop.run_in_executor(self._thread, self._encoder.encode, texts)
            except Exception as error:
                # Whatever the library raised belongs to those who wait for it.
                for waiters in batch.values():
                    for future in waiters:
                        if not future.done():
                            future.set_exception(error)
                continue
            for text, vector in zip(texts, vectors, strict=True):
                vector = vector.copy()  # a view would keep its whole batch in memory
                self._keep(text, vector)
                for future in batch[text]:
                    if not future.done():
                        future.set_result(vector)

    def _next(self) -> dict[str, list[asyncio.Future[Floats]]]:
        """Take the next batch of texts somebody still waits for."""
        batch: dict[str, list[asyncio.Future[Floats]]] = {}
        while self._waiting and len(batch) < self._batch:
            text, waiters = self._waiting.popitem(last=False)
            if not all(future.done() for future in waiters):
                batch[text] = waiters
        return batch

    def _keep(self, text: str, vector: Floats) -> None:
        if text not in self._cache:
            self._held += self._size(text, vector)
        self._cache[text] = vector
        while self._held > self._cache_bytes:
            self._held -= self._size(*self._cache.popitem(last=False))

    @staticmethod
    def _size(text: str, vector: Floats) -> int:
        return vector.nbytes + 4 * len(text) + 256  # at most, with the containers' own


@dataclass(frozen=True, slots=True)
class Live:
    """An encoder that is loaded, and the batcher in front of it."""

    encoder: Encoder
    batcher: Batcher


class Encoders:
    """The encoders of a service: one of a name, whoever asks, so that routers share its cache.

    Parameters
    ----------
    setting
        Where relative paths start and weights are kept.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._lock = Lock()
        self._live: dict[tuple[str, Backend], Live] = {}

    def live(self, name: str, backend: Backend = "auto") -> Live:
        """Return the encoder called `name`, loaded (blocks); see `encoder`."""
        with self._lock:
            if (name, backend) not in self._live:
                model = encoder(name, self._setting, backend=backend)
                model.load()
                self._live[name, backend] = Live(model, Batcher(model))
            return self._live[name, backend]

    def close(self) -> None:
        """Let every encoder's thread go."""
        for live in self._live.values():
            live.batcher.close()
