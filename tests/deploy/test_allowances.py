"""Limits over several replicas, with the actor in this process."""

import asyncio

import pytest
from ray.exceptions import RayActorError

from motet.deploy import allowances
from motet.deploy.allowances import Counter, SharedAllowances


class Method:
    def __init__(self, owner, name):
        self.owner, self.name = owner, name

    def remote(self, *arguments):
        if self.owner.away:
            raise RayActorError
        self.owner.hops += 1
        result = getattr(self.owner.counter, self.name)(*arguments)
        future = asyncio.get_running_loop().create_future()
        future.set_result(result)
        return future


class Actor:
    def __init__(self):
        self.counter, self.hops, self.away = Counter(), 0, False

    def __getattr__(self, name):
        return Method(self, name)


@pytest.fixture
def actor(monkeypatch):
    found = Actor()
    monkeypatch.setattr(SharedAllowances, "_actor", lambda self: found)
    return found


async def let_through(replicas, tries, limit, what="requests", amount=1):
    grants = []
    for number in range(tries):
        replica = replicas[number % len(replicas)]
        grants.append(await replica.take("ann", what, amount, limit))
    return [grant for grant in grants if not grant.wait_s]


async def test_all_together_have_the_limit_and_hardly_a_request_asks(actor):
    replicas = [SharedAllowances() for _ in range(3)]
    passed = await let_through(replicas, 2500, 500)
    assert 490 <= len(passed) <= 500
    assert actor.hops < 250
    refused = await replicas[0].take("ann", "requests", 1, 500)
    assert 0 < refused.wait_s <= 60.01
    assert not (await replicas[0].take("bob", "requests", 1, 500)).wait_s


async def test_what_one_does_not_use_the_others_get(actor, monkeypatch):
    monkeypatch.setattr(allowances, "_UNUSED_S", 0.05)
    one, other = SharedAllowances(), SharedAllowances()
    await one.take("ann", "requests", 1, 1000)  # leases ten
    assert len(await let_through([other], 2000, 1000)) < 1000
    await asyncio.sleep(0.4)
    assert not (await other.take("ann", "requests", 1, 1000)).wait_s


async def test_tokens_are_settled_as_they_turn_out(actor):
    one = SharedAllowances()
    grant = await one.take("ann", "tokens", 900, 1000)
    one.settle("ann", "tokens", grant, 900, 100)
    assert not (await one.take("ann", "tokens", 800, 1000)).wait_s
    grant = await one.take("ann", "tokens", 50, 1000)
    one.settle("ann", "tokens", grant, 50, 600)  # more than was taken is owed
    assert actor.counter._windows["ann", "tokens"].total >= 1400
    assert (await one.take("ann", "tokens", 200, 1000)).wait_s


async def test_while_the_actor_is_away_each_counts_for_itself(actor, caplog):
    actor.away = True
    one = SharedAllowances()
    assert len(await let_through([one], 30, 10)) == 10
    assert caplog.text.count("each replica for itself") == 1
    grant = await one.take("eve", "tokens", 5, 10)
    one.settle("eve", "tokens", grant, 5, 1)
    actor.away = False
    assert not (await one.take("ann", "requests", 1, 10)).wait_s


async def test_what_was_taken_a_minute_ago_gives_nothing_back(actor, monkeypatch):
    one, clock = SharedAllowances(), [1000.0]
    monkeypatch.setattr(allowances.time, "monotonic", lambda: clock[0])
    old = await one.take("ann", "tokens", 900, 1000)
    clock[0] += 70
    assert not (await one.take("ann", "tokens", 900, 1000)).wait_s
    one.settle("ann", "tokens", old, 900, 10)
    assert actor.counter._windows["ann", "tokens"].total == 910
    assert (await one.take("ann", "tokens", 200, 1000)).wait_s


async def test_a_pool_never_owes(actor):
    one = SharedAllowances()
    await one.take("ann", "tokens", 1, 500)  # four are left of five
    large, small = await asyncio.gather(
        one.take("ann", "tokens", 100, 500), one.take("ann", "tokens", 4, 500)
    )
    assert not large.wait_s and not small.wait_s
    assert one._pools["ann", "tokens"].amount >= 0
    assert (await one.take("ann", "tokens", 450, 500)).wait_s
    assert not (await one.take("ann", "tokens", 2, 500)).wait_s  # little fits all the same
