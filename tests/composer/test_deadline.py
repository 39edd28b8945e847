"""One timer for many waits, which stops what waits and touches nothing else."""

import asyncio
import time

import pytest

from motet.composer.deadline import Deadline, OverError


async def late(seconds=30.0, value="late"):
    await asyncio.sleep(seconds)
    return value


async def test_what_is_in_time_is_returned_and_what_is_not_is_stopped():
    deadline = Deadline(0.1)
    assert await deadline.within(late(0, "soon")) == "soon"
    began = time.monotonic()
    with pytest.raises(OverError):
        await deadline.within(late())
    assert time.monotonic() - began < 10
    assert asyncio.current_task().cancelling() == 0
    await asyncio.sleep(0)  # the task itself goes on


async def test_after_the_end_what_would_wait_is_stopped_and_what_need_not_is_not():
    deadline = Deadline(0.0)
    await asyncio.sleep(0.01)
    for _ in range(2):
        with pytest.raises(OverError):
            await deadline.within(late())

    async def at_once():
        return "at once"

    assert await deadline.within(at_once()) == "at once"


async def test_errors_of_the_work_are_its_own():
    deadline = Deadline(30)

    async def fails(error):
        raise error

    for error in (TimeoutError(), ValueError()):
        with pytest.raises(type(error)):
            await deadline.within(fails(error))
    deadline.close()


async def test_somebody_elses_cancelling_goes_before_its_own():
    deadline = Deadline(0.05)
    stopped = asyncio.Event()

    async def stubborn():
        try:
            await late()
        finally:
            stopped.set()
            await asyncio.sleep(0.05)  # time for the other to cancel too

    task = asyncio.create_task(deadline.within(stubborn()))
    await stopped.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_work_that_ends_although_it_was_stopped_ends_well():
    deadline = Deadline(0.05)

    async def swallows():
        try:
            await late()
        except asyncio.CancelledError:
            return "done all the same"

    assert await deadline.within(swallows()) == "done all the same"
    assert asyncio.current_task().cancelling() == 0


async def test_it_can_stand_inside_a_timeout_and_around_one():
    async def inside():
        async with asyncio.timeout(0.02):
            await late()

    deadline = Deadline(30)
    with pytest.raises(TimeoutError):
        await deadline.within(inside())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await deadline.within(late())
    short = Deadline(0.02)
    with pytest.raises(OverError):
        async with asyncio.timeout(30):
            await short.within(late())
    deadline.close()


async def test_a_closed_one_leaves_no_timer():
    deadline = Deadline(0.02)
    await deadline.within(late(0))
    deadline.close()
    await asyncio.sleep(0.05)
    assert asyncio.current_task().cancelling() == 0
