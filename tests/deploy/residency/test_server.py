"""The swapper of a cluster beside real replicas of pools, with calls in place of Ray's."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from motet.config import parse
from motet.deploy import cluster, graph
from motet.deploy.applications import Applications
from motet.deploy.manifests import serve_config
from motet.deploy.names import SWAPPER, pool_of
from motet.deploy.pools.in_process import ExpertPool
from motet.deploy.residency import server
from motet.deploy.residency.client import ClusterLeases
from motet.deploy.residency.engines import PoolEngines, SwappedPool
from motet.deploy.residency.pulse import Pulse
from motet.deploy.residency.replica import Here
from motet.errors import ConfigError, DeployError, ExpertUnavailable
from motet.experts import ENGINES
from motet.residency.expert import LeasedExpert
from motet.types import READY, Request, State
from motet.weights import Setting

TEXT = """
version: 1
experts:
  - {id: far, engine: fake}
  - {id: a, engine: fake-pool, tokens: [a], resources: {memory: 1MiB}}
  - {id: b, engine: fake-pool, tokens: [b], token_delay_s: 0.01, resources: {memory: 1MiB}}
  - {id: home, engine: fake-pool, tokens: [home], pinned: true, resources: {memory: 1MiB}}
residency: {memory: 2MiB, max_wait_s: 5, turn_s: 0.05}
"""
ASK = Request(model="a", messages=({"role": "user", "content": "hi"},))


QUICK = Pulse(look_s=0.02, silence_s=0.3, renew_s=0.05, fresh_s=0.01)


class Cluster(Applications):
    """Applications as objects of this process, called as Serve would."""

    def __init__(self, tmp_path, text=TEXT, pulse=QUICK, left=2**40):
        super().__init__()
        self.apps, self.left = {}, left
        self.document = parse(text)
        self._folder, self._pulse = tmp_path, pulse

    async def call(self, name, method, *arguments):
        app = self.apps.get(name)
        if app is None:
            raise DeployError(f"{name} is not deployed yet.")
        said = await getattr(app, method)(*arguments)
        if isinstance(said, Exception):
            raise said
        return said

    async def running(self):
        return set(self.apps)

    def leases(self, max_wait_s=5.0):
        return ClusterLeases(self, max_wait_s, self._pulse)

    async def start_pool(self, name, node="node"):
        entry = next(e for e in self.document.config.experts if e.id == name)
        pool = ExpertPool.__new__(ExpertPool)
        setting = Setting(folder=self._folder, cache=self._folder / node / name)
        here = Here(node=lambda: node, memory=lambda: self.left)
        await pool.__init__(entry, setting, swapped=True, here=here)
        self.apps[pool_of(name)] = pool
        return pool

    async def start_swapper(self):
        found = server.ClusterSwapper.__new__(server.ClusterSwapper)
        args = graph.swapper_arguments(self.document)
        await found.__init__(graph._document(args), self, self._pulse)
        self.apps[SWAPPER] = found
        return found

    def stop_swapper(self):
        self.apps.pop(SWAPPER)._watching.cancel()

    @property
    def loaded(self):
        pools = {name: app for name, app in self.apps.items() if name != SWAPPER}
        return {pool._entry.id for pool in pools.values() if pool._loaded}


@asynccontextmanager
async def started(tmp_path, *names, **options):
    found = Cluster(tmp_path, **options)
    for name in names:
        await found.start_pool(name)
    await found.start_swapper()
    yield found
    found.stop_swapper()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


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


async def test_without_a_swapper_requests_are_told(tmp_path):
    leases = Cluster(tmp_path, pulse=replace(QUICK, lost_s=0.1)).leases(0.1)
    await asyncio.sleep(0.2)
    health = await leases.health("a")
    assert (health.state, health.reason) == (State.STARTING, "the swapper does not answer; it is being started")  # fmt: skip
    with pytest.raises(ExpertUnavailable, match="the swapper does not answer") as late:
        async with leases.lease("a", "a"):
            pass
    assert late.value.status == 503 and late.value.retry_after


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


async def test_an_engine_is_put_away_after_its_last_answer(tmp_path):
    found = Cluster(tmp_path)
    pool = await found.start_pool("b")
    assert isinstance(await anext(pool.stream("b", ASK)), ExpertUnavailable)
    await pool.load()
    answer = pool.stream("b", ASK)
    first = await anext(answer)
    away = asyncio.create_task(pool.unload())
    await asyncio.sleep(0.05)
    assert not away.done()
    assert "not loaded" in str(await anext(pool.stream("b", ASK))), "no new one begins"
    rest = [parcel async for parcel in answer]
    assert first[0].text == "b" and rest[-1][0].usage
    assert not (await away).loaded


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


async def test_an_expert_takes_its_lease_first(tmp_path):
    async with started(tmp_path, "a", "b", "home") as found:
        build = graph.builder(found.document, found)
        entry = found.document.config.experts[2]
        options = ENGINES.load(entry.engine).Config.model_validate(entry.options)
        expert = build(entry, options, Setting(folder=tmp_path, cache=tmp_path))
        assert isinstance(expert, LeasedExpert)

        class Answer:
            def __init__(self, *arguments):
                self._answer = found.apps[pool_of("b")].stream(*arguments)

            def __anext__(self):
                return anext(self._answer)

            def cancel(self):
                pass

        class Handle:
            stream = property(lambda self: self)

            def options(self, **_):
                return self

            def remote(self, *arguments):
                return Answer(*arguments)

        found.handle = lambda name: Handle()
        chunks = [chunk async for chunk in expert.stream(ASK)]
        assert chunks[0].text == "b" and found.loaded == {"home", "b"}
        await until(lambda: not found.apps[SWAPPER]._leases)


async def _hold(leases, name):
    async with leases.lease(name, name):
        pass


def test_it_is_deployed_beside_the_pools():
    document = parse(TEXT)
    cluster.check(document)
    content = serve_config.of(document)
    apps = {app["name"]: app for app in content["applications"]}
    assert list(apps) == ["motet", SWAPPER, *(pool_of(name) for name in ("a", "b", "home"))]
    assert apps[pool_of("a")]["args"]["swapped"] is True
    assert "residency" not in apps[pool_of("a")]["args"]["config"], "it is no reason to restart"
    found = graph.swapper(apps[SWAPPER]["args"])._bound_deployment
    assert found.num_replicas == 1
    assert "swapped" not in graph.pool_arguments(document, "a"), "a batch loads it at once"


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ("{replicas: {min: 0}}", "resources.replicas: with residency a pool has one replica"),
        ("{replicas: {max: 2}}", "resources.replicas: with residency a pool has one replica"),
        ("{gpus: 2}", "resources.gpus: with residency an expert lives on one GPU, not on 2"),
    ],
)
def test_pools_that_cannot_be_swapped_are_refused(resources, said):
    text = TEXT.replace("tokens: [a], resources: {memory: 1MiB}", f"resources: {resources}")
    with pytest.raises(ConfigError, match=said):
        cluster.check(parse(text))


async def test_room_in_the_host_is_shared_by_a_node(tmp_path):
    found = Cluster(tmp_path)
    pools = {name: SwappedPool(entry, found) for name in ("a", "b") for entry in found.document.config.experts if entry.id == name}  # fmt: skip
    said = await (await found.start_pool("a")).standing()
    pools["a"].said = replace(said, kept=30, host_free=1000)
    pools["b"].said = replace(said, host_free=1000)
    assert PoolEngines(pools, "node", 100)._host_room(pools["b"].said) == 70
    pools["b"].said = replace(said, host_free=5)
    assert PoolEngines(pools, "node", 100)._host_room(pools["b"].said) == 5
    pools["b"].said = replace(said, node="another", host_free=1000)
    assert PoolEngines(pools, "node", 100)._host_room(pools["b"].said) == 100
