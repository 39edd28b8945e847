"""A cluster for the tests of its swapper: real replicas, with calls in place of Ray's."""

import asyncio
from contextlib import asynccontextmanager

from motet.config import parse
from motet.deploy import graph
from motet.deploy.applications import Applications
from motet.deploy.arguments import swapper_arguments
from motet.deploy.names import SWAPPER, pool_of
from motet.deploy.pools.in_process import ExpertPool
from motet.deploy.residency import server
from motet.deploy.residency.client import ClusterLeases
from motet.deploy.residency.pulse import Pulse
from motet.deploy.residency.replica import Here
from motet.errors import DeployError
from motet.types import Request
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
        args = swapper_arguments(self.document)
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
