"""The worker: requests join and leave between steps; what fails, fails alone."""

import asyncio

import pytest
from tests.generation.world import answer, ask, engine_of

from motet.errors import ExpertError, ExpertOverloaded
from motet.generation.loading import load_model


async def test_a_late_request_joins_and_an_early_one_leaves(llama):
    long = asyncio.create_task(answer(llama, ask("long", max_tokens=60)))
    await asyncio.sleep(0.02)
    short = await answer(llama, ask("The quick brown fox", max_tokens=5))
    assert not long.done() or (await long)[2].completion_tokens < 60
    assert (await long)[0] == (await answer(llama, ask("long", max_tokens=60)))[0]
    assert short[0] == (await answer(llama, ask("The quick brown fox", max_tokens=5)))[0]


async def test_a_seed_gives_the_same_answer_in_any_company(llama):
    request = ask("seed", temperature=1.0, seed=5, max_tokens=20)
    lone = await answer(llama, request)
    others = [ask(f"other {n}", temperature=1.0) for n in range(3)]
    mixed = (await asyncio.gather(*(answer(llama, r) for r in [others[0], request, *others[1:]])))[
        1
    ]
    assert mixed[0] == lone[0]
    different = await answer(llama, ask("seed", temperature=1.0, seed=6, max_tokens=20))
    assert different[0] != lone[0]


async def test_a_full_queue_is_overload(tiny):
    engine = engine_of(tiny["llama"], max_batch=1, max_queue=1)
    await engine.start()
    tasks = [asyncio.create_task(answer(engine, ask(max_tokens=80))) for _ in range(6)]
    done = await asyncio.gather(*tasks, return_exceptions=True)
    await engine.close()
    overloads = [result for result in done if isinstance(result, ExpertOverloaded)]
    assert overloads and all(error.retry_after >= 1 for error in overloads)
    assert any(isinstance(result, tuple) for result in done)


async def test_a_failing_model_fails_the_batch_and_the_engine_lives_on(tiny):
    models = []

    def kept(*args):
        models.append(load_model(*args))
        return models[0]

    engine = engine_of(tiny["llama"], load=kept, max_batch=4, max_queue=8)
    await engine.start()
    ((model, _),) = models

    def broken(*arguments, **options):
        raise RuntimeError("out of luck")

    stream = engine.stream(ask(max_tokens=200))
    await anext(stream)
    failing = model.register_forward_pre_hook(broken)
    with pytest.raises(ExpertError, match="out of luck"):
        async for _ in stream:
            pass
    with pytest.raises(ExpertError, match="out of luck"):
        await answer(engine, ask())
    failing.remove()
    assert (await engine.health()).ready
    await answer(engine, ask())
    await engine.close()
