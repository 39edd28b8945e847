"""An engine's life: loading, answering, refusing, closing."""

import asyncio
import threading

import pytest
from tests.generation.world import answer, ask, engine_of

from motet.errors import ExpertRejected, ExpertUnavailable
from motet.generation.loading import load_model
from motet.types import State


async def test_choices_differ_and_each_finishes(llama):
    texts, finishes, usage, _ = await answer(llama, ask(n=3, temperature=1.0, seed=1))
    assert set(texts) == set(finishes) == {0, 1, 2}
    assert len(set(texts.values())) > 1
    assert usage.prompt_tokens == 5
    again = await answer(llama, ask(n=3, temperature=1.0, seed=1))
    assert again[0] == texts


async def test_closing_the_generator_frees_the_row(llama):
    stream = llama.stream(ask(max_tokens=200))
    await anext(stream)
    assert llama.running == 1
    await stream.aclose()
    for _ in range(100):
        if not llama.running:
            break
        await asyncio.sleep(0.01)
    assert not llama.running
    await answer(llama, ask())


async def test_life(tiny):
    engine = engine_of(tiny["llama"])
    assert (await engine.health()).state is State.STARTING
    with pytest.raises(ExpertUnavailable):
        await answer(engine, ask())
    await engine.start()
    assert (await engine.health()).ready
    stream = engine.stream(ask(max_tokens=200))
    await anext(stream)
    threads = [t for t in threading.enumerate() if t.name.startswith("motet-tiny")]
    await engine.close()
    assert threads and not any(thread.is_alive() for thread in threads)
    assert (await engine.health()).state is State.DOWN
    with pytest.raises(ExpertUnavailable):
        async for _ in stream:
            pass


async def test_a_load_that_is_called_off_leaves_no_weights(tiny):
    begun, go_on, loaded = threading.Event(), threading.Event(), []

    def slowly(*args):
        begun.set()
        assert go_on.wait(30)
        loaded.append(load_model(*args))
        return loaded[0]

    engine = engine_of(tiny["llama"], load=slowly)
    starting = asyncio.create_task(engine.start())
    await asyncio.to_thread(begun.wait)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    closing = asyncio.create_task(engine.close())
    go_on.set()
    await closing
    assert {weight.device.type for weight in loaded[0][0].parameters()} == {"meta"}


async def test_what_it_cannot_do_is_refused(llama):
    for fields in ({"extra": {"frequency_penalty": 1.0}}, {"n": 5}):
        with pytest.raises(ExpertRejected):
            await answer(llama, ask(**fields))
    await answer(llama, ask(extra={"frequency_penalty": 0, "echo": False}))
