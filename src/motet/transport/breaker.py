"""A circuit breaker: after several failures in a row nobody is asked for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from weakref import WeakValueDictionary


class Breaker:
    """Closed while calls succeed, open for a rest after failures in a row, then half open.

    Half open, one call is let through: its success closes the breaker, its failure doubles the
    rest. Calls that were under way when it opened and fail now change nothing: a busy hour's burst
    is one failure of the host, not many. (Nygard, "Release It!", 2007.)

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
        self._rests = 0
        self._until = 0.0
        self._tried = False

    @property
    def left_s(self) -> float:
        """Seconds that are left of a rest, for whoever only looks; 0 where there is none."""
        return max(0.0, self._until - self._now()) if self._rests else 0.0

    def rest_s(self) -> float:
        """Return the seconds until the next call may be made; 0 when it may be made now.

        When a rest is over the caller is the one who tries: others wait until it knows.
        """
        if not self._rests:
            return 0.0
        now = self._now()
        if now < self._until:
            return self._until - now
        # Whoever comes meanwhile rests on; and if this one never tells, another tries after them.
        self._until = now + self._rest()
        self._tried = True
        return 0.0

    def succeeded(self) -> None:
        """Note that a call was answered."""
        self._failures = self._rests = 0

    def failed(self) -> None:
        """Note that a call failed in a way that the next one would likely share."""
        self._failures += 1
        decides = self._tried if self._rests else self._failures >= self._most
        if decides:
            self._rests += 1
            self._tried = False
            self._until = self._now() + self._rest()

    def _rest(self) -> float:
        return min(self._longest_s, self._rest_s * 2.0 ** min(self._rests - 1, 16))


_HOSTS: WeakValueDictionary[str, Breaker] = WeakValueDictionary()


def breaker_of(host: str) -> Breaker:
    """Return the one breaker of a host (its scheme, name and port), shared by all who ask there."""
    breaker = _HOSTS.get(host)
    if breaker is None:
        breaker = _HOSTS[host] = Breaker()
    return breaker
