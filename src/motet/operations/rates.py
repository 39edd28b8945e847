"""How much a key asks: requests and tokens in any sixty seconds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

MINUTE_S = 60.0
_PARTS = 600
"""Parts of a minute that tokens and requests are summed in, so that memory has a bound."""
_ROUNDING_S = 1e-6


@dataclass(slots=True, eq=False)
class Moment:
    """What was counted in one of the parts of a minute."""

    began: float
    amount: int = 0


class Window:
    """A sum over the last sixty seconds, exact to a tenth of a second."""

    def __init__(self) -> None:
        self._moments: deque[Moment] = deque()
        self.total = 0

    def add(self, amount: int, now: float) -> Moment:
        """Count `amount`; returns where, for `take_back`."""
        self.forget(now)
        if not self._moments or now - self._moments[-1].began >= MINUTE_S / _PARTS:
            self._moments.append(Moment(now))
        self._moments[-1].amount += amount
        self.total += amount
        return self._moments[-1]

    def take_back(self, amount: int, moment: Moment, now: float) -> None:
        """Count `amount` no more, where it was counted and still is."""
        self.forget(now)
        if self._moments and moment.began >= self._moments[0].began:
            moment.amount -= amount
            self.total -= amount

    def forget(self, now: float) -> None:
        """Drop what is older than a minute."""
        while self._moments and self._moments[0].began + MINUTE_S <= now:
            self.total -= self._moments.popleft().amount

    def room_in(self, amount: int, limit: int, now: float) -> float:
        """Return the seconds until there is room for `amount` below `limit`; 0 where there is.

        What is more than the limit has room once there is nothing else.
        """
        self.forget(now)
        over = self.total + min(amount, limit) - limit
        if over <= 0:
            return 0.0
        for moment in self._moments:
            over -= moment.amount
            if over <= 0:
                return moment.began + MINUTE_S - now + _ROUNDING_S
        return MINUTE_S

    def give_back(self, amount: int, now: float) -> None:
        """Count `amount` no more, of what was counted last."""
        self.forget(now)
        for moment in reversed(self._moments):
            part = min(amount, moment.amount)
            moment.amount -= part
            self.total -= part
            amount -= part


@dataclass(frozen=True, slots=True)
class Grant:
    """What came of asking for a part of an allowance.

    Attributes
    ----------
    wait_s
        Seconds until there is room; 0 where it is granted.
    left
        What the key has left.
    moment
        Where it is counted, in this process.
    at
        When it was granted, on the monotonic clock, where it is counted elsewhere.
    """

    wait_s: float
    left: int
    moment: Moment | None = None
    at: float = 0.0


class Allowances(Protocol):
    """What keys may ask a minute, wherever that is counted."""

    async def take(self, key: str, what: str, amount: int, limit: int) -> Grant:
        """Take `amount` of what a key may have of something in any sixty seconds."""

    def settle(self, key: str, what: str, grant: Grant, taken: int, used: int) -> None:
        """Say that of what was taken so much was used, which may be more."""


class LocalAllowances:
    """Counts in this process.

    Parameters
    ----------
    now
        A clock in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._windows: dict[tuple[str, str], Window] = {}

    async def take(self, key: str, what: str, amount: int, limit: int) -> Grant:
        """Take a part; see `Allowances`."""
        now, window = self._now(), self._windows.setdefault((key, what), Window())
        if wait_s := window.room_in(amount, limit, now):
            return Grant(wait_s, max(0, limit - window.total))
        moment = window.add(amount, now)
        return Grant(0.0, max(0, limit - window.total), moment)

    def settle(self, key: str, what: str, grant: Grant, taken: int, used: int) -> None:
        """Count what was used in place of what was taken; see `Allowances`."""
        if used == taken or grant.moment is None:
            return
        now, window = self._now(), self._windows[key, what]
        window.take_back(taken, grant.moment, now)
        if used:
            window.add(used, now)
