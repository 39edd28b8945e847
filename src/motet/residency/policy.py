"""Who is loaded next and who leaves for it: the service's policy, and two controls."""

from __future__ import annotations

from typing import ClassVar, Protocol

from motet.residency.engine import RECENT_S, Engine


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


class Lru:
    """The engine unused for longest leaves, and who has waited longest comes: the control."""

    strict: ClassVar[bool] = False

    def keep(self, engine: Engine, now: float) -> float:
        """Return when it was last used."""
        return engine.used_at

    def gain(self, wanted: Engine, now: float) -> float:
        """Return how long its first request has waited."""
        return now - wanted.head().asked_at


class InOrder(Lru):
    """One request after the other as they came, least recently used out: the other control."""

    strict: ClassVar[bool] = True


class Worth:
    """By what a load costs, how often it is asked for, how long ago, and what it takes.

    An engine is worth keeping by `load seconds x recent requests / bytes`: GreedyDual-Size with
    frequency (Cherkasova, HP Labs HPL-98-69), with requests that age in place of its clock, and
    less the longer nobody has used it, for requests come in bursts. The queue is the look-ahead:
    the engine is loaded whose load serves most waiting requests a second.
    """

    strict: ClassVar[bool] = False

    def keep(self, engine: Engine, now: float) -> float:
        """Return the seconds of loading that a byte is likely to save."""
        # Half a request for each: between two that nobody has asked for, the dearer load stays.
        likely = (engine.recent(now) + 0.5) / (1 + (now - engine.used_at) / RECENT_S)
        return engine.load_s * likely / max(1, engine.size)

    def gain(self, wanted: Engine, now: float) -> float:
        """Return the requests that a second of loading serves."""
        return wanted.waiting / max(1e-3, wanted.load_s)


POLICIES: dict[str, type[Policy]] = {"worth": Worth, "lru": Lru, "in-order": InOrder}
