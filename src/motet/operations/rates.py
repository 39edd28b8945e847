"""How much a key asks: requests and tokens in the last minute, and requests at once."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from motet.config import Rates
from motet.errors import RateLimited
from motet.operations.callers import Holder

_MINUTE_S = 60.0
_PARTS = 600
"""Parts of a minute that tokens and requests are summed in, so that memory has a bound."""


class Window:
    """A sum over the last sixty seconds, exact to a tenth of a second."""

    def __init__(self) -> None:
        self._parts: deque[list[float]] = deque()  # when a part began, and its sum
        self.total = 0.0

    def add(self, amount: float, now: float) -> None:
        """Count `amount`, which may be less than nothing to take some back."""
        self.forget(now)
        if not self._parts or now - self._parts[-1][0] >= _MINUTE_S / _PARTS:
            self._parts.append([now, 0.0])
        self._parts[-1][1] += amount
        self.total += amount

    def forget(self, now: float) -> None:
        """Drop what is older than a minute."""
        while self._parts and now - self._parts[0][0] >= _MINUTE_S:
            self.total -= self._parts.popleft()[1]

    def room_in(self, amount: float, limit: float, now: float) -> float:
        """Return the seconds until there is room for `amount` below `limit`; 0 where there is."""
        self.forget(now)
        over = self.total + min(amount, limit) - limit
        if over <= 0:
            return 0.0
        for began, part in self._parts:
            over -= part
            if over <= 0:
                return max(0.0, began + _MINUTE_S - now)
        return _MINUTE_S


@dataclass(slots=True)
class _Counts:
    requests: Window = field(default_factory=Window)
    tokens: Window = field(default_factory=Window)
    at_once: int = 0


class Admission:
    """One request that was let through; closed when it is over.

    Attributes
    ----------
    headers
        What its key has left, as clients read it.
    tokens
        What it took; until that is set, what it was taken to need.
    """

    def __init__(
        self,
        counts: _Counts,
        tokens: int,
        headers: Mapping[str, str],
        now: Callable[[], float],
    ) -> None:
        self.headers = headers
        self.tokens = self._needed = tokens
        self._counts = counts
        self._now = now

    def close(self) -> None:
        """Note its end, and the tokens it took in place of those it was taken to need."""
        self._counts.at_once -= 1
        if self.tokens != self._needed:
            self._counts.tokens.add(self.tokens - self._needed, self._now())


class RateLimits:
    """What each key has asked of late, in this process.

    Parameters
    ----------
    now
        A clock in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._keys: dict[str, _Counts] = {}

    def enter(self, holder: Holder, tokens: int) -> Admission:
        """Let a request through.

        Parameters
        ----------
        tokens
            What it is taken to need, prompt and answer.

        Raises
        ------
        RateLimited
            There is no room for it; says for what, and when there is.
        """
        now, key, rates = self._now(), holder.caller.key, holder.rates
        counts = self._keys.setdefault(key, _Counts())
        if rates.requests_at_once is not None and counts.at_once >= rates.requests_at_once:
            raise RateLimited(key, "requests at once", rates.requests_at_once, 1.0)
        for window, wanted, limit, what in (
            (counts.requests, 1, rates.requests_per_minute, "requests per minute"),
            (counts.tokens, tokens, rates.tokens_per_minute, "tokens per minute"),
        ):
            if limit is not None and (wait := window.room_in(wanted, limit, now)):
                raise RateLimited(key, what, limit, wait)
        counts.at_once += 1
        counts.requests.add(1, now)
        counts.tokens.add(tokens, now)
        return Admission(counts, tokens, _left(counts, rates), self._now)


def _left(counts: _Counts, rates: Rates) -> dict[str, str]:
    """Return what a key has left, as OpenAI's headers say it."""
    said: dict[str, str] = {}
    for name, window, limit in (
        ("requests", counts.requests, rates.requests_per_minute),
        ("tokens", counts.tokens, rates.tokens_per_minute),
    ):
        if limit is not None:
            said[f"x-ratelimit-limit-{name}"] = str(limit)
            said[f"x-ratelimit-remaining-{name}"] = str(max(0, int(limit - window.total)))
    return said
