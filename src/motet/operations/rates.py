"""How much a key asks: requests and tokens in the last minute, and requests at once."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from motet.config import Rates
from motet.errors import RateLimited

_MINUTE_S = 60.0
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
        self._parts: deque[Moment] = deque()
        self.total = 0

    def add(self, amount: int, now: float) -> Moment:
        """Count `amount`; returns where, for `take_back`."""
        self.forget(now)
        if not self._parts or now - self._parts[-1].began >= _MINUTE_S / _PARTS:
            self._parts.append(Moment(now))
        self._parts[-1].amount += amount
        self.total += amount
        return self._parts[-1]

    def take_back(self, amount: int, part: Moment, now: float) -> None:
        """Count `amount` no more, where it was counted and still is."""
        self.forget(now)
        if self._parts and part.began >= self._parts[0].began:
            part.amount -= amount
            self.total -= amount

    def forget(self, now: float) -> None:
        """Drop what is older than a minute."""
        while self._parts and self._parts[0].began + _MINUTE_S <= now:
            self.total -= self._parts.popleft().amount

    def room_in(self, amount: int, limit: int, now: float) -> float:
        """Return the seconds until there is room for `amount` below `limit`; 0 where there is.

        What is more than the limit has room once there is nothing else.
        """
        self.forget(now)
        over = self.total + min(amount, limit) - limit
        if over <= 0:
            return 0.0
        for part in self._parts:
            over -= part.amount
            if over <= 0:
                return part.began + _MINUTE_S - now + _ROUNDING_S
        return _MINUTE_S


@dataclass(slots=True)
class Counts:
    """What one key has asked of late."""

    requests: Window = field(default_factory=Window)
    tokens: Window = field(default_factory=Window)
    at_once: int = 0

    def refuse(self, key: str, rates: Rates, tokens: int, now: float) -> None:
        """Raise `RateLimited` where a request of so many tokens is more than `rates` allow."""
        most = rates.requests_at_once
        if most is not None and self.at_once >= most:
            raise RateLimited(key, "requests at once", most, 1.0)
        for window, wanted, limit, what in (
            (self.requests, 1, rates.requests_per_minute, "requests per minute"),
            (self.tokens, tokens, rates.tokens_per_minute, "tokens per minute"),
        ):
            if limit is not None and (wait := window.room_in(wanted, limit, now)):
                raise RateLimited(key, what, limit, wait)

    def left(self, rates: Rates) -> dict[str, str]:
        """Return what a key has left, as OpenAI's headers say it."""
        said: dict[str, str] = {}
        for name, window, limit in (
            ("requests", self.requests, rates.requests_per_minute),
            ("tokens", self.tokens, rates.tokens_per_minute),
        ):
            if limit is not None:
                said[f"x-ratelimit-limit-{name}"] = str(limit)
                said[f"x-ratelimit-remaining-{name}"] = str(max(0, limit - window.total))
        return said
