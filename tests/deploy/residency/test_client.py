"""The leases of one process: the swapper's word, and what is said without it."""

import asyncio
from dataclasses import replace

import pytest
from tests.deploy.residency.pools import ASK, QUICK, Cluster, started, until

from motet.deploy import graph
from motet.deploy.names import SWAPPER, pool_of
from motet.errors import ExpertUnavailable
from motet.experts import ENGINES
from motet.residency.expert import LeasedExpert
from motet.types import State
from motet.weights import Setting


async def test_without_a_swapper_requests_are_told(tmp_path):
    leases = Cluster(tmp_path, pulse=replace(QUICK, lost_s=0.1)).leases(0.1)
    await asyncio.sleep(0.2)
    health = await leases.health("a")
    assert (health.state, health.reason) == (State.STARTING, "the swapper does not answer; it is being started")  # fmt: skip
    with pytest.raises(ExpertUnavailable, match="the swapper does not answer") as late:
        async with leases.lease("a", "a"):
            pass
    assert late.value.status == 503 and late.value.retry_after


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
