"""The swapper of a cluster beside real replicas of pools, with calls in place of Ray's."""

import asyncio

import pytest
from tests.deploy.residency.pools import TEXT, started, until

from motet.config import parse
from motet.deploy.names import SWAPPER, pool_of
from motet.errors import ExpertUnavailable
from motet.types import READY, State


async def test_engines_come_and_go_within_the_memory(tmp_path):
    async with started(tmp_path, "a", "b", "home") as found:
        leases = found.leases()
        await until(lambda: found.loaded == {"home", "a"})

        async def use(name):
            async with leases.lease(name, name):
                assert name in found.loaded and len(found.loaded) == 2 and "home" in found.loaded
                await asyncio.sleep(0.01)

        await asyncio.gather(*(use(name) for name in ["a", "b", "home"] * 6))
        await until(lambda: len(found.loaded) == 2)
        async with leases.lease("b", "b"):
            assert found.loaded == {"home", "b"}
        async with asyncio.timeout(5):
            while not ((await leases.health("b")) == READY):
                await asyncio.sleep(0.02)
        assert (await leases.health("a")).state is State.ASLEEP


async def test_a_new_swapper_learns_what_is_loaded(tmp_path):
    async with started(tmp_path, "a", "b", "home") as found:
        leases = found.leases()
        async with leases.lease("b", "b"):
            pass
        assert found.loaded == {"home", "b"}
        engines = {name: pool._engines._up for name, pool in found.apps.items() if name != SWAPPER}
        before = {name: dict(up) for name, up in engines.items()}
        found.stop_swapper()
        waiting = asyncio.create_task(_hold(leases, "b"))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await found.start_swapper()
        await waiting
        assert {name: dict(up) for name, up in engines.items()} == before, "nothing is made anew"
        async with leases.lease("a", "a"):
            assert found.loaded == {"home", "a"}


async def test_a_smaller_memory_is_kept_by_the_next_swapper(tmp_path):
    async with started(tmp_path, "a", "b", "home") as found:
        await until(lambda: len(found.loaded) == 2)
        found.stop_swapper()
        found.document = parse(TEXT.replace("memory: 2MiB", "memory: 1MiB"))
        await found.start_swapper()
        await until(lambda: found.loaded == {"home"})


async def test_the_leases_of_a_silent_process_are_freed(tmp_path):
    async with started(tmp_path, "a", "b", "home") as found:
        dead, alive = found.leases(), found.leases()
        held = dead.lease("a", "a")
        await held.__aenter__()
        dead._renewing.cancel()  # as a killed process would

        async with alive.lease("home", "home"):  # for longer than a silence
            async with alive.lease("b", "b"):
                assert found.loaded == {"home", "b"}
            await asyncio.sleep(0.5)
            assert found.apps[SWAPPER]._leases.keys() == alive._held


async def test_a_load_that_fails_says_why(tmp_path):
    text = TEXT.replace("{id: b, engine: fake-pool, tokens: [b], token_delay_s: 0.01", "{id: b, engine: transformers, model: ./nowhere")  # fmt: skip
    async with started(tmp_path, "a", "b", "home", text=text) as found:
        leases = found.leases()
        with pytest.raises(ExpertUnavailable):
            async with leases.lease("b", "b"):
                pass
        async with asyncio.timeout(5):
            while (await leases.health("b")).state is not State.DOWN:
                await asyncio.sleep(0.02)
        assert "nowhere" in (await leases.health("b")).reason
        async with leases.lease("a", "a"):
            assert "a" in found.loaded


async def test_each_device_has_a_memory_of_its_own(tmp_path):
    async with started(tmp_path, "a", "home") as found:
        await found.start_pool("b", node="other")
        await until(lambda: found.loaded == {"a", "b", "home"})
        # Its node is lost, and its next replica lives where the others do.
        del found.apps[pool_of("b")]
        leases = found.leases()
        async with asyncio.timeout(5):
            while (await leases.health("b")).ready:
                await asyncio.sleep(0.02)
        await found.start_pool("b")
        await until(lambda: found.apps[SWAPPER]._devices["b"] == "node")
        async with leases.lease("b", "b"):
            assert found.loaded == {"b", "home"}


async def test_memory_that_others_took_is_measured(tmp_path):
    async with started(tmp_path, "a", "b", "home", left=10) as found:
        await asyncio.sleep(0.2)
        assert found.loaded == set()
        found.left = 2**30
        await until(lambda: len(found.loaded) == 2)


async def _hold(leases, name):
    async with leases.lease(name, name):
        pass
