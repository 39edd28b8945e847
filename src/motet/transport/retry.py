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
    longest_s: float = 5.0

    def wait_s(self, attempt: int, asked_s: float | None = None) -> float:
        """Return the seconds to wait after try number `attempt`, from 1.

        Parameters
        ----------
        asked_s
            What the other side asked for (`Retry-After`); no wait is shorter than that, nor longer
            than `longest_s`.
        """
        bound = min(self.longest_s, self.first_s * 2 ** (attempt - 1))
        return max(min(self.longest_s, asked_s or 0.0), random.uniform(0.0, bound))
