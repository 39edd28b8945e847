"""A circuit breaker: after several failures in a row nobody is asked for a while."""

from __future__ import annotations

import time
from collections.abc import Callable


class Breaker:
    """Closed while calls succeed, open for a rest after failures in a row, then half open.

    Half open, one call is let through: its success closes the breaker, its failure doubles the
    rest. (Nygard, "Release It!", 2007.)

    Parameters
    ----------
    failures
        In a row, until it opens.
    rest_s, longest_s
        The first rest, and what it grows to, in seconds.
    now
        A clock in seconds.
    """

    def __init__(
        self,
        failures: int = 5,
        rest_s: float = 2.0,
        longest_s: float = 60.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = failures
        self._rest_s = rest_s
        self._longest_s = longest_s
        self._now = now
        self._failures = 0
        self._until = 0.0

    def rest_s(self) -> float:
        """Return the seconds until the next call may be made; 0 when it may be made now.

        When a rest is over the caller is the one who tries: others wait until it knows.
        """
        if self._failures < self._most:
            return 0.0
        now = self._now()
        if now < self._until:
            return self._until - now
        self._until = now + self._rest(self._failures)  # whoever comes meanwhile rests on
        return 0.0

    def succeeded(self) -> None:
        """Note that a call was answered."""
        self._failures = 0

    def failed(self) -> None:
        """Note that a call failed in a way that the next one would likely share."""
        self._failures += 1
        if self._failures >= self._most:
            self._until = self._now() + self._rest(self._failures)

    def _rest(self, failures: int) -> float:
        doublings = min(failures - self._most, 16)
        return min(self._longest_s, self._rest_s * 2.0**doublings)
