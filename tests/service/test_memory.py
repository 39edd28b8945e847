"""What stays for good is left out of collections, anew whenever parts have come up."""

import asyncio
import gc
import weakref

import pytest

from motet.config import parse
from motet.service import memory
from motet.service.motet import Motet

CONFIG = "version: 1\nexperts: [{id: echo, engine: fake, token_delay_s: 1}]"


class Circle:
    def __init__(self):
        self.itself = self


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    monkeypatch.setattr(memory, "_LOOK_S", 0.02)
    yield
    gc.unfreeze()


async def until(true):
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


async def test_what_stays_is_left_out_and_what_was_replaced_is_freed():
    async with Motet(parse(CONFIG)) as motet:
        await motet.fleet.ready()
        old = Circle()
        seen = weakref.ref(old)
        keeping = asyncio.create_task(memory.keep_collections_short(motet))
        await until(lambda: gc.get_freeze_count() > 10_000)
        del old
        gc.collect()
        assert seen() is not None  # a circle that was left out stays ...
        new = Circle()
        newer = weakref.ref(new)
        del new
        gc.collect()
        assert newer() is None
        motet.replace(parse(CONFIG))
        await until(lambda: seen() is None)  # ... until it looks again
        keeping.cancel()


def is_left_out(thing):
    return not any(each is thing for each in gc.get_objects())


async def test_it_waits_for_a_moment_without_a_request():
    async with Motet(parse(CONFIG)) as motet:
        await motet.fleet.ready()
        asking = asyncio.create_task(motet.chat("echo", "one two three"))
        await until(lambda: not motet.pipeline.is_idle)
        keeping = asyncio.create_task(memory.keep_collections_short(motet))
        await asyncio.sleep(0)  # what is there at the start is left out at once
        kept = Circle()
        await asyncio.sleep(0.2)
        assert not asking.done() and not is_left_out(kept)
        await asking
        await until(lambda: is_left_out(kept))
        keeping.cancel()
