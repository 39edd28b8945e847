"""The caller's side of a pool: its answers, its failures and its health."""

from types import SimpleNamespace

import pytest
from ray.exceptions import ActorDiedError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.schema import ApplicationStatus
from tests.deploy.helpers import ASK, ASLEEP, TEXT, Replica, caller, controller

from motet.config import parse
from motet.errors import ExpertError, ExpertOverloaded, ExpertRejected, ExpertUnavailable
from motet.types import Chunk, State


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


@pytest.mark.parametrize("replicas", [{"STARTING": 1}, {"STARTING": 1, "RUNNING": 1}])
@pytest.mark.parametrize("text", [TEXT, ASLEEP])
async def test_a_pool_without_room_says_so(text, replicas):
    """Also one that sleeps, which its first request cannot wake."""
    reason = f"no node has room: {'1 of 1 CPU, ' * 99}"
    serve = controller("DEPLOYING", replicas)
    document = parse(text, env={"KEY": "s3cret"})
    expert = caller(document, serve, shortages=lambda: {"motet-pool-here": reason})
    health = await expert.health()
    if "RUNNING" in replicas:
        assert health.ready  # one more would be welcome
    else:
        assert (health.state, health.reason) == (State.STARTING, reason)


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
