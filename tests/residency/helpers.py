"""What tests of the swapper share: a loop whose time is virtual, and engines that are scripts."""

from __future__ import annotations

import asyncio
import selectors
from typing import ClassVar

from motet.experts.fake import FakeExpert
from motet.types import READY


class _Instant(selectors.DefaultSelector):
    """A selector that lets the waiting be over at once, and remembers how long it would have been."""

    passed = 0.0

    def select(self, timeout=None):
        found = super().select(0)
        if not found and timeout:
            self.passed += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on which sleeping takes no time, and the clock says that it did."""

    def __init__(self):
        self._instant = _Instant()
        super().__init__(self._instant)

    def time(self):
        return self._instant.passed


def virtually(work):
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


class Scripted:
    """Engines of given bytes that take given seconds to load, and a record of what happened.

    Parameters
    ----------
    sizes, seconds
        By engine.
    budget
        What the engines that are there must never exceed together.
    """

    def __init__(self, sizes, seconds, budget, unload_s=0.0):
        self._sizes, self._seconds, self._budget = sizes, seconds, budget
        self._unload_s = unload_s
        self.up = set()
        self.loads = []
        self.broken = {}
        self.closed = False

    async def sizes(self, engines):
        return {engine: self._sizes[engine] for engine in engines}

    async def load(self, engine):
        self.loads.append(engine)
        assert engine not in self.up
        self.up.add(engine)
        assert sum(self._sizes[each] for each in self.up) <= self._budget
        await asyncio.sleep(self._seconds[engine])
        if error := self.broken.get(engine):
            self.up.remove(engine)
            raise error

    async def unload(self, engine):
        await asyncio.sleep(self._unload_s)
        self.up.remove(engine)

    async def health(self, engine):
        assert engine in self.up
        return READY

    def free(self):
        return None

    async def close(self):
        self.closed = True


class HeldFake(FakeExpert):
    """A scripted expert that counts as one with a model: it has to be loaded."""

    home = "pool"
    up: ClassVar[set[str]] = set()
    starts: ClassVar[list[str]] = []

    async def start(self):
        assert self.card.id not in self.up
        await asyncio.sleep(0.02)
        self.up.add(self.card.id)
        self.starts.append(self.card.id)
        await super().start()

    async def close(self):
        self.up.discard(self.card.id)

    def stream(self, request):
        assert self.card.id in self.up, f"{self.card.id} is asked and not loaded"
        return super().stream(request)
