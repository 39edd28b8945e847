"""When to try once more, and after how long: the one policy for all calls to others."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retry:
    """Full jitter over a bound that doubles (Brooker, "Exponential backoff and jitter", 2015).

    Many callers that failed together then do not come back together.

    Attributes
    ----------
    attempts
        Tries in all, the first among them.
    first_s, longest_s
        The bound after the first try, and what it grows to, in seconds.
    """

    attempts: int = 3
    first_s: float = 0.2
    longest_s: float = 2.0

    def wait_s(self, attempt: int, asked_s: float | None = None) -> float | None:
        """Return the seconds to wait after try number `attempt`, from 1; None to give up.

        Who is asked to wait longer than `longest_s` gives up: somebody else is faster.

        Parameters
        ----------
        asked_s
            What the other side asked for (`Retry-After`); no wait is shorter than that.
        """
        if attempt >= self.attempts or (asked_s or 0.0) > self.longest_s:
            return None
        bound = min(self.longest_s, self.first_s * 2 ** (attempt - 1))
        return max(asked_s or 0.0, random.uniform(0.0, bound))
