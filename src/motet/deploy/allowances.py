"""What keys may ask a minute, over all ingress replicas: one actor counts, replicas lease parts.

A replica takes a hundredth of a limit at a time and gives back what it has not used for a second,
so that hardly a request waits for the actor, and none is let through beyond the limit. (Leases of a
central capacity, as in Doorman, "Global distributed client side rate limiting", 2016.)
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError

from motet.clock import Alarm
from motet.operations.rates import MINUTE_S, Grant, LocalAllowances, Window

log = logging.getLogger(__name__)

NAME = "motet-allowances"
_PARTS = 100
_UNUSED_S = 1.0
_REFUSED_S = 0.25
"""Seconds for which a refusal holds without asking again."""
_PATIENCE_S = 2.0


class Counter:
    """Counts for everybody; an actor of Ray's."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str], Window] = {}

    def lease(
        self, key: str, what: str, least: int, wanted: int, limit: int
    ) -> tuple[int, float, int]:
        """Return what is granted, the seconds until so much as `least` is, and what is left."""
        window, now = self._windows.setdefault((key, what), Window()), time.monotonic()
        wait_s = window.room_in(least, limit, now)
        if wait_s:
            return 0, wait_s, max(0, limit - window.total)
        granted = max(least, min(wanted, limit - window.total))
        window.add(granted, now)
        return granted, 0.0, max(0, limit - window.total)

    def give_back(self, key: str, what: str, amount: int) -> None:
        """Take back what was not used."""
        self._windows.setdefault((key, what), Window()).give_back(amount, time.monotonic())

    def owe(self, key: str, what: str, amount: int) -> None:
        """Count what was used beyond what was granted."""
        self._windows.setdefault((key, what), Window()).add(amount, time.monotonic())


@dataclass(slots=True)
class _Pool:
    """What this replica has leased and not used.

    Attributes
    ----------
    left
        What nobody has leased, as far as is known.
    """

    amount: int = 0
    left: int = 0
    refused: int = 0
    refused_until: float = 0.0
    wait_s: float = 0.0
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    alarm: Alarm | None = None


class SharedAllowances:
    """Allowances over all replicas; while the actor is away, each counts for itself."""

    def __init__(self) -> None:
        self._pools: dict[tuple[str, str], _Pool] = {}
        self._alone = LocalAllowances()
        self._is_alone = False
        self._counter: Any = None

    async def take(self, key: str, what: str, amount: int, limit: int) -> Grant:
        """Take a part; see `Allowances`."""
        pool = self._pools.setdefault((key, what), _Pool())
        if pool.amount < amount:
            async with pool.asking:  # one asks for all who wait
                while pool.amount < amount:  # others take of it meanwhile
                    wait_s = await self._lease(key, what, pool, amount, limit)
                    if wait_s is None:
                        return await self._alone.take(key, what, amount, limit)
                    if wait_s:
                        return Grant(wait_s, pool.left + pool.amount)
                return self._taken(key, what, pool, amount)
        return self._taken(key, what, pool, amount)

    def _taken(self, key: str, what: str, pool: _Pool, amount: int) -> Grant:
        pool.amount -= amount
        self._give_back_later(key, what, pool)
        return Grant(0.0, pool.left + pool.amount, at=time.monotonic())

    def settle(self, key: str, what: str, grant: Grant, taken: int, used: int) -> None:
        """Say what was used of what was taken; see `Allowances`."""
        if grant.moment is not None:
            self._alone.settle(key, what, grant, taken, used)
        elif time.monotonic() - grant.at >= MINUTE_S:
            if used:  # what was taken counts no more, and what was used counts now
                self._tell("owe", key, what, used)
        elif used > taken:
            self._tell("owe", key, what, used - taken)
        elif used < taken:
            pool = self._pools[key, what]
            pool.amount += taken - used
            self._give_back_later(key, what, pool)

    async def _lease(
        self, key: str, what: str, pool: _Pool, amount: int, limit: int
    ) -> float | None:
        """Lease what is missing; return the seconds until that may be had, None if nobody says."""
        now = time.monotonic()
        least = amount - pool.amount
        if now < pool.refused_until and least >= pool.refused:
            return max(pool.wait_s, 1e-3)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                lease = self._actor().lease.remote(
                    key, what, least, max(least, limit // _PARTS), limit
                )
                granted, wait_s, pool.left = await lease
        except (RayError, TimeoutError, ValueError) as error:
            if not self._is_alone:
                log.error("limits are counted by each replica for itself: %s", error)
            self._is_alone, self._counter = True, None
            return None
        self._is_alone = False
        if wait_s:
            pool.refused_until, pool.wait_s = now + min(wait_s, _REFUSED_S), wait_s
            pool.refused = least
            return float(wait_s)
        pool.amount += granted
        return 0.0

    def _give_back_later(self, key: str, what: str, pool: _Pool) -> None:
        if pool.alarm is not None:
            pool.alarm.cancel()
        pool.alarm = (
            Alarm(_UNUSED_S, lambda: self._give_back(key, what, pool)) if pool.amount else None
        )

    def _give_back(self, key: str, what: str, pool: _Pool) -> None:
        amount, pool.amount, pool.alarm = pool.amount, 0, None
        if amount:
            self._tell("give_back", key, what, amount)

    def _tell(self, method: str, key: str, what: str, amount: int) -> None:
        try:
            getattr(self._actor(), method).remote(key, what, amount)
        except (RayError, ValueError) as error:
            log.warning("%d %s of key %s are not settled: %s", amount, what, key, error)

    def _actor(self) -> Any:
        if self._counter is None:
            options = {"name": NAME, "namespace": NAME, "get_if_exists": True}
            self._counter = (
                ray.remote(Counter).options(num_cpus=0, lifetime="detached", **options).remote()
            )
        return self._counter


def end() -> None:
    """End the actor, if there is one."""
    try:
        ray.kill(ray.get_actor(NAME, namespace=NAME))
    except ValueError:
        pass
