"""Time-outs that are a little late and otherwise as asyncio's."""

import asyncio
import time

import pytest

from motet.clock import Alarm, Timeout


async def test_what_is_in_time_goes_on_and_what_is_not_is_stopped():
    async with Timeout(30) as bound:
        await asyncio.sleep(0)
    assert not bound.expired
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with Timeout(0.05) as bound:
            await asyncio.sleep(30)
    assert bound.expired and time.monotonic() - began < 10
    assert asyncio.current_task().cancelling() == 0
    await asyncio.sleep(0)  # the task itself goes on


async def test_the_inner_of_two_tells_only_of_itself():
    async with Timeout(30) as outer:
        with pytest.raises(TimeoutError):
            async with Timeout(0):
                await asyncio.sleep(30)
    assert not outer.expired


async def test_the_outer_of_two_goes_through_the_inner():
    with pytest.raises(TimeoutError):
        async with Timeout(0.01) as outer:
            async with Timeout(30) as inner:
                await asyncio.sleep(30)
    assert outer.expired and not inner.expired


async def test_somebody_elses_cancelling_stays_theirs():
    async def waits():
        async with Timeout(30):
            await asyncio.sleep(30)

    task = asyncio.create_task(waits())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_errors_of_the_block_are_its_own():
    with pytest.raises(ValueError, match="own"):
        async with Timeout(30):
            raise ValueError("own")


async def test_an_alarm_rings_once_unless_it_is_cancelled_and_may_set_another():
    rung = []

    def ring():
        rung.append("first")
        Alarm(0.01, lambda: rung.append("second"))

    Alarm(0.01, ring)
    never = Alarm(0.01, lambda: rung.append("never"))
    never.cancel()
    never.cancel()
    await asyncio.sleep(0.3)
    assert rung == ["first", "second"]


async def test_an_alarm_that_fails_silences_no_other(caplog):
    rung = []
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    for _ in range(3):
        Alarm(0.01, lambda: 1 / 0)
        Alarm(0.01, lambda: rung.append(1))
    await asyncio.sleep(0.5)
    assert len(rung) == 3


def test_each_loop_has_a_clock_of_its_own():
    async def bounded():
        with pytest.raises(TimeoutError):
            async with Timeout(0.01):
                await asyncio.sleep(30)

    for _ in range(3):
        asyncio.run(bounded())
