"""The memory that engines share: whom to load, and whom to send away so that it fits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from motet.residency.actions import Bounds, Load, Unload
from motet.residency.engine import Engine
from motet.residency.ledger import EngineState, Ledger
from motet.residency.policy import Policy
from motet.units import mib

RECHECK_S = 1.0
"""Seconds until memory that others hold is looked at again."""


class Exchange:
    """Who is in memory, on the way in and on the way out.

    One engine is loaded at a time: loads share the disk, and measuring what is free means nothing
    while another engine grows. While room is made for an engine, nobody else takes it.

    Attributes
    ----------
    look_at
        When `next` may have another answer though nothing has happened; infinity for never.
    freed
        Engines that were to leave and stay after all: their requests can start.
    """

    def __init__(self, ledger: Ledger[Engine], bounds: Bounds, policy: Policy) -> None:
        self.look_at = math.inf
        self.freed: list[Engine] = []
        self._ledger = ledger
        self._bounds = bounds
        self._policy = policy
        self._loading: Engine | None = None
        self._target: Engine | None = None
        self._leaving: list[Engine] = []
        self._pinned: list[Engine] = []

    def next(self, now: float, wanted: Callable[[], Sequence[Engine]]) -> Load | Unload | None:
        """Return the next step of bringing an engine in; None when there is none now.

        Parameters
        ----------
        wanted
            Returns the absent engines to bring in, best first; asked only when one can be chosen.
        """
        self.look_at = math.inf
        # Before anything else, and beside a load too: leaving needs neither the disk nor memory.
        for engine in self._leaving:
            if engine.idle:
                self._ledger.unload(engine)
                return Unload(engine.id)
        if self._loading is not None:
            return None
        # A target is kept until it is loaded or nobody wants it. Chosen anew at each step, two
        # engines that wait would send each other's victims away in turn.
        target, self._target = self._target, None
        if target is not None:
            if not (target.waiting or target.pinned):
                self._stay()  # nobody waits for it any more
            elif self._ledger.fits(target):
                self._stay()
                return self._load(target)
            elif self._leaving:
                self._target = target
                return None
        if any(engine.state is EngineState.UNLOADING for engine in self._leaving):
            return None  # it still counts as used: choosing now would send away more than needed
        return self._choose(now, wanted())

    def add(self, engine: Engine, *, loaded: bool) -> None:
        """Admit an engine; one that is there already leaves again where it is too much."""
        self._ledger.admit(engine, loaded=loaded)
        if engine.pinned:
            self._pinned.append(engine)
        if loaded and self._ledger.used > self._bounds.budget:
            self.send_away(engine)

    def remove(self, engine: Engine) -> None:
        """Forget an engine that is not there."""
        self._ledger.forget(engine)
        if engine.pinned:
            self._pinned.remove(engine)
        if engine is self._target:
            self._target = None
            self._stay()

    def landed(self, engine: Engine, *, loaded: bool) -> None:
        """Note the end of a load."""
        self._loading = None
        self._ledger.landed(engine, loaded=loaded)

    def gone(self, engine: Engine) -> None:
        """Note that an engine is unloaded."""
        engine.leaving = False
        self._ledger.gone(engine)
        self._leaving.remove(engine)

    def send_away(self, engine: Engine) -> None:
        """Have an engine leave as soon as nothing runs on it."""
        engine.leaving = True
        self._leaving.append(engine)

    @property
    def busy(self) -> bool:
        """Whether an engine is on its way in or out."""
        return self._loading is not None or bool(self._leaving)

    def load_if_it_fits(self, engine: Engine) -> Load | None:
        """Load an engine that nobody waits for, if nothing else is under way."""
        return None if self.busy or not self._ledger.fits(engine) else self._load(engine)

    def excess(self, engine: Engine) -> str | None:
        """Return why an engine can never be loaded; None when it can."""
        pinned = [e for e in self._pinned if e is not engine]
        room = self._bounds.budget - sum(e.size for e in pinned)
        if engine.size <= room:
            return None
        beside = f" beside what is pinned ({', '.join(e.id for e in pinned)})" if pinned else ""
        return f"it takes {mib(engine.size)}, and residency.memory has {mib(max(0, room))}{beside}"

    def holders(self) -> str:
        """Say in words who holds the memory."""
        there = [e for e in self._ledger.engines.values() if e.state is not EngineState.ABSENT]
        return ", ".join(_describe(engine) for engine in there) or "nobody"

    def _choose(self, now: float, wanted: Sequence[Engine]) -> Load | Unload | None:
        """Load the first engine that fits, or make room for the first for which that is due."""
        able: list[Engine] | None = None
        for engine in wanted:
            if self._ledger.fits(engine):
                return self._load(engine)
            able = self._able_to_leave(now) if able is None else able
            leaving = self._enough(able, engine)
            if leaving and self._due(engine, leaving, now):
                self._target = engine
                for each in leaving:
                    self.send_away(each)
                return self.next(now, lambda: ())
            if not leaving:
                self._look_again(now)
            if engine.overdue(now, self._bounds.max_wait_s):
                return None  # whoever would fit beside must not keep it from its turn for ever
        return None

    def _due(self, wanted: Engine, leaving: Sequence[Engine], now: float) -> bool:
        """Return whether `leaving` shall go: idle ones at once, busy ones after a turn's wait."""
        if not wanted.waiting or all(engine.idle for engine in leaving):
            return True
        at = wanted.head().asked_at + self._bounds.turn_s
        self.look_at = min(self.look_at, at)
        return at <= now

    def _look_again(self, now: float) -> None:
        """Look again when an engine's turn ends, or soon: memory may be somebody else's."""
        turns = (e.loaded_at + self._bounds.turn_s for e in self._ledger.engines.values())
        self.look_at = min([self.look_at, now + RECHECK_S, *(t for t in turns if t > now)])

    def _able_to_leave(self, now: float) -> list[Engine]:
        """Return who may be sent away, the least worth first: the idle, and busy ones in turn."""
        turn_s = self._bounds.turn_s
        able = [
            engine
            for engine in self._ledger.engines.values()
            if engine.state is EngineState.LOADED
            and not (engine.pinned or engine.leaving)
            and (not engine.running or now - engine.loaded_at >= turn_s)
        ]
        return sorted(able, key=lambda engine: self._policy.keep(engine, now))

    def _enough(self, able: Iterable[Engine], wanted: Engine) -> list[Engine]:
        """Return who leaves so that `wanted` fits; none when all together are too few."""
        short = self._ledger.short(wanted)
        chosen: list[Engine] = []
        for engine in able:
            if short <= 0:
                break
            chosen.append(engine)
            short -= engine.size
        if short > 0:
            return []
        for engine in reversed(chosen):  # one that came late may make an earlier one needless
            if short + engine.size <= 0:
                chosen.remove(engine)
                short += engine.size
        return chosen

    def _load(self, engine: Engine) -> Load:
        self._loading = engine
        self._ledger.load(engine)
        return Load(engine.id)

    def _stay(self) -> None:
        """Call off the leaving of those who are still there."""
        for engine in [e for e in self._leaving if e.state is EngineState.LOADED]:
            self._leaving.remove(engine)
            engine.leaving = False
            self.freed.append(engine)


def _describe(engine: Engine) -> str:
    if engine.state is not EngineState.LOADED:
        return f"{engine.id!r} ({engine.state.name.lower()})"
    what = [f"{engine.running} under way"] if engine.running else []
    return f"{engine.id!r} ({', '.join(what + ['pinned'] * engine.pinned) or 'idle'})"
