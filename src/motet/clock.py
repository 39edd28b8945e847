"""Time-outs that may be a little late and cost nearly nothing: one timer for a whole event loop.

A request waits under half a dozen bounds of seconds or minutes, and hardly ever for so long. To
make a timer for each and to take it back was a tenth of its way.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Self

_TICK_S = 0.05
"""How late an alarm may ring."""


class Alarm:
    """Calls `ring` once, some seconds from now and up to a twentieth of a second late.

    Parameters
    ----------
    seconds
        From now on; it rings on the running event loop.
    """

    __slots__ = ("_alarms", "at", "ring")

    def __init__(self, seconds: float, ring: Callable[[], object]) -> None:
        clock = _clock()
        self.at = clock.loop.time() + seconds
        self.ring = ring
        self._alarms = clock.alarms
        clock.set(self)

    def cancel(self) -> None:
        """Do not ring; one that has rung, or is cancelled already, is left as it is."""
        self._alarms.discard(self)


class Timeout:
    """Bounds the block under it, as `asyncio.timeout` does, but for how exact it is.

    >>> async with Timeout(5.0):                                     # doctest: +SKIP
    ...     await something()

    Raises
    ------
    TimeoutError
        The time was over first, and the block's wait was cancelled.
    """

    __slots__ = ("_alarm", "_before", "_over", "_seconds", "_task")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._over = False

    @property
    def expired(self) -> bool:
        """Whether the time was over before the block was."""
        return self._over

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None, "a time-out bounds a task"
        self._task: asyncio.Task[Any] = task
        self._before = task.cancelling()
        self._alarm = Alarm(self._seconds, self._stop)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: Any, _: object) -> None:
        self._alarm.cancel()
        if self._over and self._task.uncancel() <= self._before:
            if kind is not None and issubclass(kind, asyncio.CancelledError):
                raise TimeoutError from error

    def _stop(self) -> None:
        self._over = True
        self._task.cancel()


class _Clock:
    """The alarms of one event loop, looked through a few times a second while there are any."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.alarms: set[Alarm] = set()
        self._ticks = False

    def set(self, alarm: Alarm) -> None:
        self.alarms.add(alarm)
        if not self._ticks:
            self._ticks = True
            self.loop.call_later(_TICK_S, self._tick)

    def _tick(self) -> None:
        now = self.loop.time()
        try:
            for alarm in [each for each in self.alarms if each.at <= now]:
                if alarm in self.alarms:  # one before it may have cancelled it
                    self.alarms.discard(alarm)
                    alarm.ring()
        finally:
            self._ticks = bool(self.alarms)
            if self._ticks:
                self.loop.call_later(_TICK_S, self._tick)


class _Here(threading.local):
    """The clock of this thread's event loop, which is one at a time."""

    clock: _Clock | None = None


_HERE = _Here()


def _clock() -> _Clock:
    loop = asyncio.get_running_loop()
    clock = _HERE.clock
    if clock is None or clock.loop is not loop:
        clock = _HERE.clock = _Clock(loop)
    return clock
