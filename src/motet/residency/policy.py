"""Who is loaded next, who leaves for it, and when: the policies, the service's and two controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from motet.residency.engine import Engine


class Policy(Protocol):
    """A way to choose; the scheduler sees to memory, bounds and fairness.

    Attributes
    ----------
    strict
        Whether requests start in the order they came, even those whose engine is there.
    """

    strict: ClassVar[bool]

    def keep(self, engine: Engine, now: float) -> float:
        """Return how much an engine is worth keeping; the least leaves first."""

    def gain(self, wanted: Engine, now: float) -> float:
        """Return how much an absent engine is worth loading; the most is loaded first."""

    def due(self, wanted: Engine, leaving: Sequence[Engine], now: float, turn_s: float) -> float:
        """Return the time from which `leaving` should go for `wanted`."""


class Lru:
    """The engine unused for longest leaves, at once: the control."""

    strict: ClassVar[bool] = False

    def keep(self, engine: Engine, now: float) -> float:
        """Return when it was last used."""
        return engine.used_at

    def gain(self, wanted: Engine, now: float) -> float:
        """Return how long its first request has waited."""
        return now - wanted.head().asked_at

    def due(self, wanted: Engine, leaving: Sequence[Engine], now: float, turn_s: float) -> float:
        """Return now for idle engines; busy ones stay until a request has waited for a turn."""
        if all(engine.idle for engine in leaving):
            return now
        return wanted.head().asked_at + turn_s


class InOrder(Lru):
    """One request after the other as they came, least recently used out: the other control."""

    strict: ClassVar[bool] = True


class Worth:
    """By what a load costs, how often it is asked for, and what it takes.

    An engine is worth keeping by `load seconds x recent requests / bytes`, as GreedyDual-Size with
    frequency weighs what a cache holds (Cherkasova, HP Labs HPL-98-69). A swap is due when those
    who wait for it have together waited as long as it is going to cost the others: the
    rent-or-buy rule of ski rental (Karlin et al., Algorithmica 3, 1988), so a swap is never made
    for less than it costs and no cost is paid much more than twice. Requests that wait in the queue
    are the look-ahead: they hasten a swap, and one load serves all of them.
    """

    strict: ClassVar[bool] = False

    def keep(self, engine: Engine, now: float) -> float:
        """Return the seconds of loading that a byte saves."""
        return engine.load_s * engine.recent(now) / max(1, engine.size)

    def gain(self, wanted: Engine, now: float) -> float:
        """Return the seconds waited for each second of loading."""
        return wanted.waited(now) / max(1e-3, wanted.load_s)

    def due(self, wanted: Engine, leaving: Sequence[Engine], now: float, turn_s: float) -> float:
        """Return when waiting has cost what the swap costs, at the latest after a turn."""
        cost = sum(engine.load_s * engine.recent(now) for engine in leaving)
        paid_at = (cost + wanted.asked_sum) / wanted.waiting
        return min(paid_at, wanted.head().asked_at + turn_s)


POLICIES: dict[str, type[Policy]] = {"worth": Worth, "lru": Lru, "in-order": InOrder}
