"""The swapper on an event loop: leases, shared loads, cancelling, failures, and its end."""

import asyncio
import random

import pytest
from tests.residency.helpers import Scripted, virtually

from motet.errors import ExpertOverloaded, ExpertUnavailable, SourceError
from motet.residency.actions import Bounds
from motet.residency.policy import POLICIES
from motet.residency.swapper import Swapper
from motet.types import State


class Watched:
    def __init__(self):
        self.leases, self.loads, self.evictions, self.most = [], [], [], 0

    def leased(self, expert, outcome, seconds):
        self.leases.append((expert, outcome, round(seconds, 3)))

    def loaded(self, engine, outcome, seconds):
        self.loads.append((engine, outcome))

    def unloaded(self, engine):
        self.evictions.append(engine)

    def holds(self, used, budget):
        assert used <= budget
        self.most = max(self.most, used)


async def started(engines, *names, policy="worth", pinned=(), slots=8, **rules):
    swapper = Swapper(engines, Bounds(**rules), policy)
    swapper.watcher = Watched()
    for name in names:
        await swapper.admit(name, slots=slots, pinned=name in pinned)
    return swapper


async def use(swapper, engine, seconds=1.0):
    async with swapper.lease(engine, engine):
        assert engine in swapper.engines.up
        await asyncio.sleep(seconds)
        assert engine in swapper.engines.up, "nobody is unloaded under a lease"


@pytest.mark.parametrize("policy", POLICIES)
def test_many_requests_over_few_places(policy):
    async def work():
        names = [f"e{n}" for n in range(8)]
        engines = Scripted(dict.fromkeys(names, 1), dict.fromkeys(names, 2.0), 3, 0.1)
        swapper = await started(engines, *names, policy=policy, budget=3, max_wait_s=600.0)
        rng = random.Random(3)

        async def one():
            await asyncio.sleep(rng.uniform(0, 200))
            await use(swapper, rng.choice(names), rng.uniform(0.1, 3))

        await asyncio.gather(*(one() for _ in range(200)))
        assert len(swapper.watcher.leases) == 200
        assert swapper.watcher.most == 3
        assert len(swapper.watcher.evictions) >= 5
        await swapper.close()
        assert engines.closed

    virtually(work())


def test_concurrent_requests_share_one_load():
    async def work():
        engines = Scripted({"a": 2, "b": 2}, {"a": 1.0, "b": 5.0}, 2)
        swapper = await started(engines, "a", "b", budget=2)
        await asyncio.sleep(2)
        await asyncio.gather(*(use(swapper, "b") for _ in range(8)))
        assert engines.loads == ["a", "b"]
        assert [outcome for _, outcome, _ in swapper.watcher.leases] == ["waited"] * 8
        await use(swapper, "b")
        assert swapper.watcher.leases[-1] == ("b", "hit", 0.0)

    virtually(work())


def test_who_leaves_while_waiting_takes_nothing_along():
    async def work():
        engines = Scripted({"a": 1, "b": 1}, {"a": 1.0, "b": 1.0}, 1)
        swapper = await started(engines, "a", "b", budget=1, turn_s=5.0)
        holder = asyncio.create_task(use(swapper, "a", 30.0))
        await asyncio.sleep(2)
        gone = asyncio.create_task(use(swapper, "b"))
        stays = asyncio.create_task(use(swapper, "b"))
        await asyncio.sleep(1)
        gone.cancel()
        await asyncio.gather(holder, stays)
        assert gone.cancelled()
        assert ("b", "left", 1.0) in swapper.watcher.leases
        # One who leaves while it is served gives its place back too.
        served = asyncio.create_task(use(swapper, "b", 1e6))
        await asyncio.sleep(1)
        served.cancel()
        await use(swapper, "a")
        assert engines.loads == ["a", "b", "a"]

    virtually(work())


def test_refusals_say_why():
    async def work():
        engines = Scripted({"a": 1, "b": 1, "huge": 9}, {"a": 1.0, "b": 1.0, "huge": 1.0}, 1)
        swapper = await started(
            engines, "a", "b", "huge", budget=1, max_wait_s=4.0, max_waiting=2, turn_s=60.0
        )
        holder = asyncio.create_task(use(swapper, "a", 100.0))
        await asyncio.sleep(2)
        waiting = [asyncio.create_task(use(swapper, "b")) for _ in range(2)]
        await asyncio.sleep(0.1)
        with pytest.raises(ExpertOverloaded, match="2 requests wait") as full:
            await use(swapper, "b")
        assert full.value.status == 429 and full.value.retry_after
        for task in waiting:
            with pytest.raises(ExpertUnavailable, match="is held by 'a'") as late:
                await task
            assert late.value.status == 503 and late.value.retry_after
        with pytest.raises(ExpertUnavailable, match="it takes 1MiB, and residency.memory has"):
            await use(swapper, "huge")
        with pytest.raises(ExpertUnavailable, match="not known yet"):
            await use(swapper, "never admitted")
        assert (await swapper.health("huge")).state is State.DOWN
        assert (await swapper.health("b")).state is State.ASLEEP
        holder.cancel()
        await swapper.close()

    virtually(work())


@pytest.mark.parametrize("error", [SourceError("no weights"), OSError("disk"), MemoryError()])
def test_a_failed_load_is_told_to_all_and_tried_again_later(error):
    async def work():
        engines = Scripted({"a": 1, "b": 1}, {"a": 1.0, "b": 1.0}, 1)
        engines.broken["b"] = error
        swapper = await started(engines, "a", "b", budget=1)
        await asyncio.sleep(2)
        tasks = [asyncio.create_task(use(swapper, "b")) for _ in range(3)]
        for task in tasks:
            with pytest.raises(ExpertUnavailable, match=f"cannot be loaded: {error}"):
                await task
        health = await swapper.health("b")
        assert health.state is State.DOWN and str(error) in health.reason
        engines.broken.clear()
        await asyncio.sleep(5)
        assert (await swapper.health("b")).state is State.ASLEEP
        await use(swapper, "b")
        assert swapper.watcher.loads.count(("b", "failed")) == 1

    virtually(work())


def test_an_engine_of_unknown_size_is_alone_until_it_is_known():
    async def work():
        engines = Scripted({"a": 1, "hub": 2}, {"a": 1.0, "hub": 1.0}, 4)
        known = engines.sizes

        async def sizes(names):  # a model of a hub, whose files come with its first load
            return {
                n: s if n in engines.loads or n == "a" else None
                for n, s in (await known(names)).items()
            }

        engines.sizes = sizes
        swapper = await started(engines, "a", "hub", budget=4)
        await asyncio.sleep(3)
        assert engines.up == {"a"}
        await use(swapper, "hub")
        assert engines.up == {"hub"}
        assert swapper.watcher.most == 4
        await use(swapper, "a")
        assert engines.up == {"a", "hub"}, "now there is room for both"

    virtually(work())


def test_closing_refuses_who_waits():
    async def work():
        engines = Scripted({"a": 1, "b": 1}, {"a": 1.0, "b": 1.0}, 1)
        swapper = await started(engines, "a", "b", budget=1)
        holder = asyncio.create_task(use(swapper, "a", 30.0))
        await asyncio.sleep(2)
        waiting = asyncio.create_task(use(swapper, "b"))
        await asyncio.sleep(1)
        await swapper.close()
        with pytest.raises(ExpertUnavailable, match="stopping"):
            await waiting
        holder.cancel()

    virtually(work())


def test_pinned_engines_are_loaded_first_and_stay():
    async def work():
        names = ["x", "y", "home"]
        engines = Scripted(dict.fromkeys(names, 1), dict.fromkeys(names, 1.0), 2)
        swapper = await started(engines, *names, pinned={"home"}, budget=2)
        await asyncio.sleep(10)
        assert "home" in engines.up
        for _ in range(3):
            await use(swapper, "x")
            await use(swapper, "y")
        assert "home" in engines.up and "home" not in swapper.watcher.evictions

    virtually(work())


def test_engines_that_were_there_before_stay_where_they_fit():
    async def work():
        engines = Scripted({"a": 1, "b": 1, "c": 1}, {"a": 1.0, "b": 1.0, "c": 1.0}, 3)
        engines.up |= {"a", "b", "c"}
        swapper = Swapper(engines, Bounds(budget=2))
        for name in "abc":
            await swapper.admit(name, slots=1, pinned=False, loaded=True)
        await asyncio.sleep(1)
        assert engines.up == {"a", "b"} and engines.loads == [] and swapper.used == 2
        engines._budget = 2
        async with swapper.lease("a", "a"):
            pass
        assert engines.loads == []
        async with swapper.lease("c", "c"):
            assert "c" in engines.up
        assert engines.loads == ["c"]

    virtually(work())


def test_an_engine_that_is_withdrawn_tells_who_waits():
    async def work():
        engines = Scripted({"a": 1, "b": 1}, {"a": 1.0, "b": 1.0}, 1)
        swapper = await started(engines, "a", "b", budget=1, turn_s=60.0)
        holder = asyncio.create_task(use(swapper, "a", 30.0))
        await asyncio.sleep(2)
        assert not swapper.withdraw("a", "moved"), "it is loaded"
        waiting = asyncio.create_task(use(swapper, "b"))
        await asyncio.sleep(1)
        assert swapper.withdraw("b", "it has moved")
        with pytest.raises(ExpertUnavailable, match="it has moved") as told:
            await waiting
        assert told.value.retry_after
        with pytest.raises(ExpertUnavailable, match="not known yet"):
            await use(swapper, "b")
        await holder
        await swapper.admit("b", slots=1, pinned=False)
        await use(swapper, "b")

    virtually(work())
