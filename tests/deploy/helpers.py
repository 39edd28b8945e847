"""What the tests of deployment share: a config of pools, and a Serve that plays them."""

import asyncio
from types import SimpleNamespace

from ray.exceptions import ActorDiedError

from motet.composer.assembly import assemble
from motet.deploy import graph
from motet.deploy.applications import Applications
from motet.types import Request

TEXT = """
version: 1
experts:
  - {id: far, engine: openai, url: 'http://far/v1', model: m, api_key: '${KEY}'}
  - {id: org/base, engine: vllm, model: org/name}
  - {id: lora, engine: vllm, base: org/base, adapter: adapters/x}
  - {id: here, engine: transformers, model: org/other, resources: {replicas: {min: 1, max: 3}}}
service: {replicas: 2, port: 8123}
"""


ASK = Request(model="here", messages=({"role": "user", "content": "hi"},))


class Replica:
    """A Serve handle that plays parcels or raises."""

    def __init__(self, *parcels, error=None, delay_s=0.0, deaths=0):
        self.parcels, self.error, self.cancelled = list(parcels), error, False
        self.delay_s, self.deaths = delay_s, deaths
        self.asked = []

    def options(self, **_):
        return self

    @property
    def stream(self):
        return self

    def remote(self, *arguments):
        self.asked.append(arguments)
        self.playing = self.play()
        return self

    def __anext__(self):
        return anext(self.playing)

    async def play(self):
        await asyncio.sleep(self.delay_s)
        if len(self.asked) <= self.deaths:
            raise ActorDiedError
        for parcel in self.parcels:
            yield parcel
        if self.error:
            raise self.error

    def cancel(self):
        self.cancelled = True


def controller(status=None, replicas=(), replica=None, name="motet-pool-here"):
    """Return a Serve whose controller says this of a pool, and whose replica is given."""
    message = "no weights" if status in ("DEPLOY_FAILED", "UNHEALTHY") else ""
    deployment = SimpleNamespace(replica_states=replicas, message=message)
    app = SimpleNamespace(status=status, message="", deployments={"d": deployment})
    known = SimpleNamespace(applications={name: app} if status else {})
    return SimpleNamespace(status=lambda: known, get_deployment_handle=lambda *_, **__: replica)


def caller(document, serve, expert="here", **options):
    build = graph.builder(document, Applications(serve, **options))
    return assemble(document, build).experts[expert]


ASLEEP = TEXT.replace("{min: 1, max: 3}", "{min: 0, max: 3}").replace(
    "model: org/name}", "model: org/name, resources: {replicas: {min: 0}}}"
)
