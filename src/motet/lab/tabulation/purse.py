"""What asking may cost: USD that are not overspent however many questions are under way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Purse:
    """Bounds on what answers may take.

    Parameters
    ----------
    usd
        What all answers may cost together. What each may cost at most is set aside before it is
        asked for.
    seconds
        How long new questions may be put; those under way then come to their end.

    Attributes
    ----------
    spent
        USD so far.
    """

    def __init__(self, usd: float = math.inf, seconds: float = math.inf) -> None:
        self.spent = 0.0
        self._aside = 0.0
        self._usd = usd
        self._end = time.monotonic() + seconds

    @contextmanager
    def paying(self, most: float) -> Iterator[Callable[[float], None] | None]:
        """Set aside what an answer may cost at most; yields how it is paid, None without room."""
        if time.monotonic() >= self._end or self.spent + self._aside + most > self._usd:
            yield None
            return
        self._aside += most
        try:
            yield self._pay
        finally:
            self._aside -= most

    def _pay(self, usd: float) -> None:
        self.spent += usd
