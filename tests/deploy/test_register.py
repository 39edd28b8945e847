"""A config for a service on Ray: taken by every replica, or by none; with Ray's part scripted."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from motet.config import parse
from motet.deploy import graph
from motet.deploy.register import ClusterRegister
from motet.deploy.shelf import Shelved
from motet.errors import ApplyFailed, DeployError
from motet.service.motet import Motet

CONFIG = """\
version: 1
experts:
  - {id: a, engine: fake}
"""
POOLED = "  - {id: pooled, engine: fake-pool}\n"
OTHER = "  - {id: other, engine: fake}\n"


class Shelf:
    """What replicas share, in this process; may refuse to take anything."""

    def __init__(self):
        self.shelved, self.refuses = None, False

    async def look(self):
        return self.shelved

    async def put(self, number, text):
        if self.refuses:
            raise DeployError("the store is away")
        self.shelved = Shelved("base", number, text)


@pytest.fixture
def pools(monkeypatch):
    """What happens to pools, in order; `said` is why they do not come up."""
    made = []

    def run_pool(arguments):
        made.append(("run", arguments["expert"]))

    async def end_pools(self, experts, *, now=False):
        made.extend(("end", name) for name in experts)

    monkeypatch.setattr(graph, "run_pool", run_pool)
    monkeypatch.setattr(ClusterRegister, "_end_pools", end_pools)
    monkeypatch.setattr("motet.deploy.register._LOOK_S", 0.02)
    return made


@asynccontextmanager
async def replica(shelf):
    async with Motet(parse(CONFIG)) as motet:
        await motet.fleet.ready()
        register = ClusterRegister(motet, shelf, {})
        following = asyncio.create_task(register.follow())
        try:
            yield motet, register
        finally:
            following.cancel()


def experts(motet):
    return sorted(motet.parts.experts)


async def until(true):
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


async def test_one_takes_a_config_and_the_others_follow(pools):
    shelf = Shelf()
    async with replica(shelf) as (one, register), replica(shelf) as (other, _):
        await register.apply(CONFIG + OTHER)
        assert experts(one) == ["a", "other"]
        await until(lambda: experts(other) == ["a", "other"])
        await register.apply(CONFIG)
        await until(lambda: experts(other) == ["a"])
        assert shelf.shelved.number == 2 and pools == []


async def test_a_config_that_another_has_overtaken_is_nowhere_and_its_pool_ends(pools):
    shelf = Shelf()
    async with replica(shelf) as (motet, register):
        real = motet.apply

        async def overtaken(document, **how):
            changes = await real(document, **how)
            if "pooled" in motet.parts.experts:
                shelf.shelved = Shelved("base", 1, CONFIG + OTHER)  # another replica's, meanwhile
            return changes

        motet.apply = overtaken
        with pytest.raises(ApplyFailed, match="meanwhile"):
            await register.apply(CONFIG + POOLED)
        assert pools == [("run", "pooled"), ("end", "pooled")]
        await until(lambda: experts(motet) == ["a", "other"])


async def test_a_config_that_cannot_be_put_on_the_shelf_is_taken_back(pools):
    shelf = Shelf()
    async with replica(shelf) as (motet, register):
        shelf.refuses = True
        with pytest.raises(DeployError):
            await register.apply(CONFIG + POOLED)
        assert experts(motet) == ["a"] and pools == [("run", "pooled"), ("end", "pooled")]
        shelf.refuses = False
        await register.apply(CONFIG + OTHER)
        assert experts(motet) == ["a", "other"] and shelf.shelved.number == 1


async def test_one_that_does_not_answer_changes_nothing_and_ends_what_it_brought(pools):
    shelf = Shelf()
    async with replica(shelf) as (motet, register):
        before = motet.parts
        broken = "  - {id: bad, engine: fake, fail_after: 0}\n"
        with pytest.raises(ApplyFailed, match="'bad' did not answer"):
            await register.apply(CONFIG + POOLED + broken)
        assert motet.parts is before and shelf.shelved is None
        assert pools == [("run", "pooled"), ("end", "pooled")]
