"""The live fleet: a bad expert harms nobody else."""

import asyncio

import pytest

from motet.composer.assembly import assemble
from motet.config import parse
from motet.errors import SourceError
from motet.experts.fleet import LiveFleet
from motet.types import State


def fleet(*experts):
    text = "version: 1\nexperts:\n" + "".join(f"  - {{engine: fake, {e}}}\n" for e in experts)
    made = assemble(parse(text)).experts
    return LiveFleet(made.values(), health_interval_s=0.01), made


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def test_experts_become_ready_one_by_one():
    live, _ = fleet("id: now", "id: later, ready_after_s: 0.3")
    assert live.view["now"].health.state is State.STARTING
    live.start()
    await live.ready()
    assert live.view["later"].health.state is State.STARTING
    await live.ready("later")
    assert live.view["later"].health.ready
    await live.close()


@pytest.mark.parametrize("error", [SourceError("no weights"), OSError("disk"), ImportError("lib")])
async def test_one_that_fails_to_start(error, caplog):
    live, made = fleet("id: good", "id: bad")

    async def fail():
        raise error

    made["bad"].start = fail
    live.start()
    await until(lambda: live.view["bad"].health.state is State.DOWN)
    assert str(error) in live.view["bad"].health.reason
    await live.ready("good")
    await live.close()


async def test_a_view_is_made_once_for_all_changes_before_it_is_read():
    live, _ = fleet(*(f"id: e{number}" for number in range(5)))
    before = live.view
    live.start()
    await live.ready("e4")
    assert all(member.health.ready for member in live.view.values())
    assert not any(member.health.ready for member in before.values())  # a view stays as it was
    assert live.view is live.view
    await live.close()


async def test_view_is_replaced_only_on_change():
    live, _ = fleet("id: a")
    live.start()
    await live.ready()
    view = live.view
    await asyncio.sleep(0.1)
    assert live.view is view
    await live.close()


async def test_one_that_cannot_tell_its_health_or_close_harms_no_other(caplog):
    live, made = fleet("id: good", "id: bad")
    closed = []

    async def fail():
        raise OSError("no more")

    async def close():
        closed.append("good")

    made["bad"].health = made["bad"].close = fail
    made["good"].close = close
    live.start()
    await until(lambda: live.view["bad"].health.state is State.DOWN)
    assert "no more" in live.view["bad"].health.reason
    await live.close()
    assert closed == ["good"] and "bad failed to close" in caplog.text


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(1), KeyError("x")])
async def test_whatever_a_health_check_raises_the_watcher_goes_on(error, caplog):
    live, made = fleet("id: odd")
    raised = [error, error]

    healthy = made["odd"].health

    async def odd():
        if raised:
            raise raised.pop()
        return await healthy()

    made["odd"].health = odd
    live.start()
    await until(lambda: live.view["odd"].health.state is State.DOWN)
    await until(lambda: live.view["odd"].health.ready)
    await live.close()
