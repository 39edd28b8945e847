"""What routers that load something share: loading it once, and an expert to fall back on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from motet.errors import MotetError
from motet.types import Choice, Decision, Fleet

T = TypeVar("T")

RETRY_S = 10.0
"""Seconds before loading is tried again after it failed."""


class Loading(Generic[T]):
    """Loads something when it is first wanted, for all who wait for it at once.

    A failure is told again, without another try, for a while.

    Parameters
    ----------
    retry_s
        Seconds before it tries again after a failure.
    clock
        Tells seconds.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[T]],
        *,
        retry_s: float = RETRY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._retry_s = retry_s
        self._clock = clock
        self._loaded: T | None = None
        self._lock = asyncio.Lock()
        self._failed: tuple[float, MotetError] | None = None

    async def get(self) -> T:
        """Return what is loaded.

        Raises
        ------
        MotetError
            From loading it.
        """
        async with self._lock:
            if self._loaded is not None:
                return self._loaded
            now = self._clock()
            if self._failed is not None and now < self._failed[0] + self._retry_s:
                raise self._failed[1]
            try:
                self._loaded = await self._load()
            except MotetError as error:
                self._failed = now, error
                raise
            return self._loaded


def fall_back(
    router: str, expert: str | None, fleet: Fleet, why: str, others: tuple[Choice, ...]
) -> Decision | None:
    """Return the fallback with the others behind it, when there is one and it is in the fleet."""
    if expert is None or expert not in fleet:
        return None
    return Decision(
        choices=(Choice(expert), *(c for c in others if c.expert != expert)),
        router=router,
        reason=f"fallback {expert!r}: {why}",
        confidence=0.0,
    )
