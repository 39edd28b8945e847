"""Encoding for live requests: in batches, off the loop, cached within bounds."""

import asyncio
import threading

import numpy as np
import pytest
from tests.routers.learned import world

from motet.encoders.encoder import DEFAULT_ENCODER
from motet.encoders.live import Batcher, Encoders
from motet.progress import silent
from motet.weights import Setting, default_cache


class Slow(world.FakeEncoder):
    """Waits for a permit before each batch."""

    def __init__(self):
        super().__init__()
        self.gate = threading.Event()
        self.threads = set()

    def encode(self, texts, report=silent):
        self.gate.wait(10)
        self.threads.add(threading.current_thread().name)
        if "poison" in texts:
            self.calls.append(list(texts))
            raise ValueError("poison")
        return super().encode(texts)


async def test_a_crowd_shares_batches():
    encoder = Slow()
    batcher = Batcher(encoder, batch=4)
    texts = [f"text {number % 9}" for number in range(30)]
    waiting = [asyncio.create_task(batcher.embed(text)) for text in texts]
    await asyncio.sleep(0.05)
    encoder.gate.set()
    vectors = await asyncio.gather(*waiting)
    np.testing.assert_array_equal(np.stack(vectors), world.ENCODER.encode(texts))
    assert sum(map(len, encoder.calls)) == 9 and max(map(len, encoder.calls)) <= 4
    assert all(name.startswith("encoder") for name in encoder.threads)


async def test_known_texts_are_not_encoded_again():
    encoder = world.FakeEncoder()
    batcher = Batcher(encoder)
    first = await batcher.embed("a")
    assert (await batcher.embed("a") == first).all()
    assert encoder.calls == [["a"]]


async def test_the_cache_is_bounded():
    encoder = world.FakeEncoder()
    batcher = Batcher(encoder, cache_bytes=2000)
    for number in range(50):
        await batcher.embed(f"{number} " * 20)
        assert batcher.held_bytes <= 2000
    calls = len(encoder.calls)
    await batcher.embed("49 " * 20)
    assert len(encoder.calls) == calls
    await batcher.embed("0 " * 20)
    assert len(encoder.calls) == calls + 1
    await batcher.embed("x" * 5000)
    assert batcher.held_bytes <= 2000


async def test_who_leaves_takes_nobody_along():
    encoder = Slow()
    batcher = Batcher(encoder)
    first = asyncio.create_task(batcher.embed("first"))
    await asyncio.sleep(0.05)
    leaves, stays, alone = (
        asyncio.create_task(batcher.embed(text)) for text in ("same", "same", "nobody waits")
    )
    await asyncio.sleep(0)
    for task in (leaves, alone, first):
        task.cancel()
    encoder.gate.set()
    np.testing.assert_array_equal(await stays, world.ENCODER.encode(["same"])[0])
    assert leaves.cancelled() and encoder.calls == [["first"], ["same"]]


async def test_a_failure_reaches_those_who_wait_and_ends_there():
    encoder = Slow()
    batcher = Batcher(encoder)
    bad = asyncio.create_task(batcher.embed("poison"))
    await asyncio.sleep(0.05)
    good = asyncio.create_task(batcher.embed("good"))
    await asyncio.sleep(0)
    encoder.gate.set()
    with pytest.raises(ValueError, match="poison"):
        await bad
    assert (await good).shape == (world.WIDTH,)
    batcher.close()


async def test_whoever_names_an_encoder_shares_it(tmp_path):
    encoders = Encoders(Setting(tmp_path, default_cache()))
    first = await asyncio.to_thread(encoders.live, DEFAULT_ENCODER, "torch")
    assert encoders.live(DEFAULT_ENCODER, "torch") is first
    vector = await first.batcher.embed("a dog barks")
    np.testing.assert_allclose(vector, first.encoder.encode(["a dog barks"])[0], atol=1e-5)
    encoders.close()


async def test_one_that_was_closed_may_be_asked_again():
    batcher = Batcher(world.FakeEncoder())
    await batcher.embed("a")
    batcher.close()  # with its service, which is started again
    np.testing.assert_array_equal(await batcher.embed("b"), world.ENCODER.encode(["b"])[0])
    batcher.close()
