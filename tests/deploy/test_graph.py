"""What is deployed for a config, without starting Ray; and the caller's side of a pool."""

import asyncio
from types import SimpleNamespace

import pytest
import yaml
from ray.exceptions import ActorDiedError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.schema import ApplicationStatus, ServeDeploySchema

from motet.composer.assembly import assemble
from motet.config import load, parse
from motet.deploy import cluster, graph
from motet.deploy.applications import Applications
from motet.deploy.manifests import serve_config
from motet.deploy.pools import in_process
from motet.errors import (
    ConfigError,
    DeployError,
    ExpertError,
    ExpertOverloaded,
    ExpertRejected,
    ExpertUnavailable,
    UnknownModel,
)
from motet.experts.build import holds_model
from motet.types import Chunk, Request, State
from motet.weights import Setting

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


@pytest.fixture
def document():
    return parse(TEXT, env={"KEY": "s3cret"})


def test_pools(document):
    assert [name for name, _ in graph.pools_of(document)] == ["org/base", "here"]
    assert graph.adapters(document, "org/base") == ["lora"]
    assert [holds_model(entry) for entry in document.config.experts] == [False, True, False, True]


def test_ray_gets_enough_logical_cpus(document):
    # One for Ray itself, the ingress, two for vLLM, one for each of three replicas.
    assert cluster._logical_cpus(document) >= 1 + 0.2 + 2 + 3


def test_serve_config(document, tmp_path):
    content = serve_config.of(document)
    ServeDeploySchema(**content)  # what Ray itself checks
    names = [app["name"] for app in content["applications"]]
    assert names == ["motet", "motet-pool-org--base", "motet-pool-here"]
    assert content["http_options"] == {"host": "127.0.0.1", "port": 8123}
    text = serve_config.text(content)
    assert "s3cret" not in text and "${KEY}" in text
    path = serve_config.write(content, str(tmp_path / "serve.yaml"))
    assert yaml.safe_load(path.read_text()) == content
    assert [p.name for p in tmp_path.iterdir()] == ["serve.yaml"]
    with pytest.raises(DeployError, match="Cannot write"):
        serve_config.write(content, str(tmp_path / "none" / "serve.yaml"))


def test_builders(document, monkeypatch):
    monkeypatch.setenv("KEY", "s3cret")
    args = graph.arguments(document)
    assert graph.ingress(args)._bound_deployment.num_replicas == 2
    pool = graph.pool(graph.pool_arguments(document, "here"))._bound_deployment
    assert pool.name == "motet-pool-here"
    assert pool._deployment_config.autoscaling_config.max_replicas == 3
    assert 0 < pool.max_queued_requests < 10_000 and 0 < pool.max_ongoing_requests < 10_000
    with pytest.raises(UnknownModel):
        graph.pool({**args, "expert": "lora"})


def test_a_pool_that_sleeps_begins_without_a_replica():
    text = TEXT.replace("{min: 1, max: 3}", "{min: 0, max: 3}")
    document = parse(text, env={"KEY": "s3cret"})
    pool = graph.pool(graph.pool_arguments(document, "here"))._bound_deployment
    scaling = pool._deployment_config.autoscaling_config
    assert (scaling.min_replicas, scaling.initial_replicas, scaling.max_replicas) == (0, 0, 3)


@pytest.mark.engine
def test_a_share_of_a_gpu_is_told_to_vllm(document):
    """Its check at start asks for a share of the whole GPU, however the cache is sized."""
    from motet.deploy.pools.vllm import _engine_args

    def told(**resources):
        text = TEXT.replace("model: org/name}", f"model: org/name, resources: {resources}}}")
        made = parse(text, env={"KEY": "s3cret"})
        expert = assemble(made, graph.builder(made)).experts["org/base"]
        return _engine_args(expert.entry, expert.options, expert.setting)

    shared = told(gpus=0.5, memory=2**30)
    assert (shared["kv_cache_memory_bytes"], shared["gpu_memory_utilization"]) == (2**30, 0.46)
    assert "gpu_memory_utilization" not in told(gpus=2)
    assert told(gpus=2)["tensor_parallel_size"] == 2
    assert "gpu_memory_utilization" not in told(memory=2**30)


def test_a_new_adapter_or_expert_restarts_no_pool(document):
    """Serve restarts an application whose arguments differ."""
    more = TEXT.replace(
        "  - {id: here", "  - {id: lora2, engine: vllm, base: org/base, adapter: adapters/y}\n"
        "  - {id: new, engine: vllm, model: org/new}\n  - {id: here"
    )  # fmt: skip
    before, after = serve_config.of(document), serve_config.of(parse(more, env={"KEY": "s3cret"}))

    def arguments(content, pool):
        return next(app["args"] for app in content["applications"] if app["name"] == pool)

    for pool in ("motet-pool-org--base", "motet-pool-here"):
        assert arguments(before, pool) == arguments(after, pool)
        assert "KEY" not in arguments(before, pool)["config"]
    assert '"adapter_slots":8' in arguments(before, "motet-pool-org--base")["config"]
    assert arguments(before, "motet") != arguments(after, "motet")


def test_shipped_example_deploys():
    assert len(serve_config.of(load("experts.yaml"))["applications"]) == 3


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


async def test_pool_answers(document):
    replica = Replica([Chunk(text="a"), Chunk(text="b")], [Chunk(finish="stop")])
    chunks = [
        chunk async for chunk in caller(document, controller(replica=replica), "lora").stream(ASK)
    ]
    assert [chunk.text for chunk in chunks] == ["a", "b", ""]
    assert replica.asked[0][0] == "lora"
    assert not replica.cancelled


async def test_leaving_cancels_the_replica(document):
    replica = Replica([Chunk(text="a")], [Chunk(text="b")])
    stream = caller(document, controller(replica=replica)).stream(ASK)
    await anext(stream)
    await stream.aclose()
    assert replica.cancelled


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BackPressureError(9, 9), ExpertOverloaded),
        (DeploymentUnavailableError("x"), ExpertUnavailable),
        (ActorDiedError(), ExpertError),
    ],
)
async def test_failures_of_a_pool(document, error, kind):
    replica = Replica([Chunk(text="a")], error=error)
    with pytest.raises(ExpertError) as caught:
        async for _ in caller(document, controller(replica=replica)).stream(ASK):
            pass
    assert type(caught.value) is kind


async def test_a_replica_that_dies_in_silence_is_replaced(document):
    replica = Replica([Chunk(text="a")], deaths=2)
    chunks = [chunk async for chunk in caller(document, controller(replica=replica)).stream(ASK)]
    assert [chunk.text for chunk in chunks] == ["a"]
    assert len(replica.asked) == 3
    replica = Replica([Chunk(text="a")], deaths=3)
    with pytest.raises(ExpertError, match="its replica failed"):
        await anext(caller(document, controller(replica=replica)).stream(ASK))
    assert len(replica.asked) == 3


async def test_a_replica_that_dies_in_its_answer_is_not(document):
    replica = Replica([Chunk(text="a")], error=ActorDiedError())
    stream = caller(document, controller(replica=replica)).stream(ASK)
    await anext(stream)
    with pytest.raises(ExpertError, match="its replica failed"):
        await anext(stream)
    assert len(replica.asked) == 1


async def test_waiting_for_a_pool_that_died_is_given_up(document):
    replica = Replica([Chunk(text="late")], delay_s=60)
    serve = controller("RUNNING", {"STARTING": 1}, replica)
    with pytest.raises(ExpertUnavailable, match="starting"):
        async for _ in caller(document, serve).stream(ASK):
            pass
    assert replica.cancelled


ASLEEP = TEXT.replace("{min: 1, max: 3}", "{min: 0, max: 3}").replace(
    "model: org/name}", "model: org/name, resources: {replicas: {min: 0}}}"
)


@pytest.mark.parametrize(
    ("status", "replicas", "state", "reason"),
    [
        ("RUNNING", {}, State.ASLEEP, "a request starts a replica"),
        ("DEPLOYING", {"STARTING": 1}, State.ASLEEP, "is being started"),
        ("RUNNING", {"RUNNING": 1, "STARTING": 1}, State.READY, ""),
        ("UNHEALTHY", {}, State.DOWN, "no weights"),
        (None, {}, State.STARTING, "not deployed yet"),
    ],
)
async def test_health_of_a_pool_that_sleeps(status, replicas, state, reason):
    document = parse(ASLEEP, env={"KEY": "s3cret"})
    health = await caller(document, controller(status, replicas)).health()
    assert health.state is state and reason in health.reason


async def test_a_request_waits_until_a_sleeping_pool_is_up():
    replica = Replica([Chunk(text="awake")], delay_s=1.2)
    document = parse(ASLEEP, env={"KEY": "s3cret"})
    asked = caller(document, controller("RUNNING", {"STARTING": 1}, replica))
    assert [chunk.text async for chunk in asked.stream(ASK)] == ["awake"]


async def test_an_adapter_sleeps_with_its_base():
    serve = controller("RUNNING", {}, name="motet-pool-org--base")
    document = parse(ASLEEP, env={"KEY": "s3cret"})
    asked = caller(document, serve, "lora")
    assert (await asked.health()).state is State.ASLEEP


async def test_waiting_for_a_slow_pool_goes_on(document):
    replica = Replica([Chunk(text="late")], delay_s=1.2)
    serve = controller("RUNNING", {"RUNNING": 1}, replica)
    chunks = [chunk async for chunk in caller(document, serve).stream(ASK)]
    assert [chunk.text for chunk in chunks] == ["late"]


async def test_errors_travel_as_parcels(document):
    replica = Replica(ExpertRejected("here", "no"))
    with pytest.raises(ExpertRejected):
        async for _ in caller(document, controller(replica=replica)).stream(ASK):
            pass


@pytest.mark.parametrize(
    ("status", "replicas", "state", "reason"),
    [
        (None, {}, State.STARTING, "not deployed yet"),
        ("DEPLOYING", {"STARTING": 1}, State.STARTING, "starting"),
        ("RUNNING", {"RUNNING": 1}, State.READY, ""),
        ("RUNNING", {"STARTING": 1}, State.STARTING, "starting"),
        ("DEPLOYING", {"RECOVERING": 1}, State.READY, ""),
        ("UNHEALTHY", {"RUNNING": 1, "STARTING": 1}, State.READY, ""),
        ("DEPLOY_FAILED", {}, State.DOWN, "no weights"),
        ("UNHEALTHY", {}, State.DOWN, "no weights"),
    ],
)
async def test_health_of_a_pool(document, status, replicas, state, reason):
    health = await caller(document, controller(status, replicas)).health()
    assert health.state is state and reason in health.reason


async def test_a_pool_stays_ready_while_a_new_config_is_built(document):
    """Serve lists no deployment of an application while it builds another version of it."""
    serve = controller("RUNNING", {"RUNNING": 1})
    expert = caller(document, serve, fresh_s=0.0)
    assert (await expert.health()).ready
    built = SimpleNamespace(status=ApplicationStatus.DEPLOYING, message="", deployments={})
    known = SimpleNamespace(applications={"motet-pool-here": built})
    serve.status = lambda: known
    assert (await expert.health()).ready
    known.applications.clear()
    assert not (await expert.health()).ready


@pytest.mark.parametrize(
    ("known", "told"), [({"motet-gpu-1": 1.0}, {"motet-gpu-1": 0.3}), ({"motet-gpu-0": 1.0}, {})]
)
def test_a_planned_device_is_a_resource_where_a_node_has_it(known, told):
    text = (
        "version: 1\nexperts: [{id: a, engine: fake-pool, resources: {gpus: 0.3, device: gpu-1}}]"
    )
    document = parse(text)
    (entry,), setting = document.config.experts, Setting(document.folder, document.folder)
    pool = in_process.in_process_pool(entry, setting, resources_of_nodes=lambda: known)
    pool = pool._bound_deployment
    assert pool.ray_actor_options.get("resources", {}) == told
    assert pool.ray_actor_options["num_gpus"] == 0.3
    assert cluster._planned_devices(document) == {"motet-gpu-1": 1.0}


def test_replicas_may_be_kept_apart(tmp_path):
    text = "version: 1\nexperts: [{id: a, engine: ENGINE, resources: {replicas: {max: 3, per_node: 1}}}]"
    document = parse(text.replace("ENGINE", "fake-pool"))
    pool = graph.pool(graph.pool_arguments(document, "a"))
    assert pool._bound_deployment._replica_config.max_replicas_per_node == 1
    with pytest.raises(
        ConfigError, match=r"replicas.per_node: a pool of vLLM is a placement group"
    ):
        assemble(parse(text.replace("ENGINE", "vllm, model: x")))


def test_a_serve_that_dies_at_its_start_is_told_in_a_sentence(monkeypatch, document):
    def die(**_):
        raise ActorDiedError

    monkeypatch.setattr("ray.init", lambda **_: None)
    monkeypatch.setattr("ray.serve.start", die)
    with pytest.raises(DeployError, match="Cannot start Ray: .*died"):
        cluster.start(document)
