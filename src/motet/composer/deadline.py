"""The time that a request has: one timer, however often somebody waits under it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from motet.clock import Alarm

T = TypeVar("T")


class OverError(Exception):
    """The time is over."""


class Deadline:
    """Stops what waits under it when the time is over, and soon what waits after that.

    As a time-out around each wait, and cheaper: an answer waits once for each of its chunks.

    Parameters
    ----------
    seconds
        From now on. The alarm is set with the first wait, and ends with `close`.
    """

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._at = self._loop.time() + seconds
        self._alarm: Alarm | None = None
        self._waiting: asyncio.Task[Any] | None = None
        self._stopped = False

    async def within(self, work: Awaitable[T]) -> T:
        """Return what `work` returns; one task waits here at a time.

        Raises
        ------
        OverError
            The time was over first; `work` is cancelled.
        """
        task = self._waiting = asyncio.current_task()
        assert task is not None, "a request runs in a task"
        if self._alarm is None:
            self._alarm = Alarm(self._at - self._loop.time(), self._expire)
        before = task.cancelling()
        try:
            return await work
        except asyncio.CancelledError:
            # Where somebody else has cancelled the task too, it is to end as they wish.
            if self._stopped and task.cancelling() == before + 1:
                raise OverError from None
            raise
        finally:
            self._waiting = None
            if self._stopped:
                self._stopped = False
                task.uncancel()

    def close(self) -> None:
        """Take back the alarm."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _expire(self) -> None:
        self._alarm = None  # whoever waits after this sets one that is due at once
        if self._waiting is not None:
            self._stopped = True
            self._waiting.cancel()
