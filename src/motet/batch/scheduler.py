"""What to load, start and unload next: plain decisions on plain data, no waiting in here.

A turn is a line that wants an expert. Turns queue by engine: an expert's own, or the base's
that adapters share. `BatchScheduler.next` says one thing to do at a time, within a budget of bytes;
`orders.py` holds the two ways to choose.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from motet.residency.actions import Load, Unload
from motet.residency.engines import Host
from motet.residency.ledger import EngineState, Holding, Ledger


@dataclass(frozen=True, slots=True, order=True)
class Turn:
    """A line that wants an expert."""

    line: int
    expert: str


@dataclass(frozen=True, slots=True)
class StartTurn:
    """Serve this turn now; its engine is loaded."""

    turn: Turn


BatchAction = StartTurn | Load | Unload


class Ordering(Protocol):
    """A way to choose."""

    def start(self, scheduler: BatchScheduler) -> str | None:
        """Return the loaded engine whose first turn is to start; None when none may."""

    def load(self, scheduler: BatchScheduler) -> str | None:
        """Return the absent engine to load next; None when none should be now."""

    def victims(self, scheduler: BatchScheduler, wanted: str) -> Iterable[str]:
        """Return idle engines that may leave for `wanted`, the first to go first."""


@dataclass(slots=True)
class _OpenLine:
    """The open turns of a line by engine, and the engines of its later steps."""

    open: Counter[str] = field(default_factory=Counter)
    ahead: frozenset[str] = frozenset()


class BatchScheduler:
    """The state of a batch's engines and queues.

    Parameters
    ----------
    hosts
        Expert id -> what is loaded for it.
    slots
        Turns that may run on one engine at once.

    Attributes
    ----------
    ledger
        Who is there, and what that takes; without a bound until `weigh` sets one.
    loads
        Engines in the order they were loaded; one that came twice is named twice.
    fed
        Engine -> lines that will come to it once they are through with another engine.
    ahead
        Engine -> lines that will come to it in a later step.
    """

    def __init__(self, hosts: Mapping[str, Host], slots: int, order: Ordering) -> None:
        self._engine = {expert: host.id for expert, host in hosts.items()}
        by_id = {host.id: host for host in hosts.values()}
        self.ledger: Ledger[Holding] = Ledger(None)
        for host in by_id.values():
            self.ledger.admit(Holding(host.id, 0), loaded=host.always)
        self.slots = slots
        self._order = order
        self._lines: dict[int, _OpenLine] = {}
        self._used_at: Counter[str] = Counter()
        self._tick = 0
        self._fixed = {host.id for host in by_id.values() if host.always}
        self.queues: dict[str, list[Turn]] = {name: [] for name in by_id}
        self.running: Counter[str] = Counter()
        self.fed: Counter[str] = Counter()
        self.ahead: Counter[str] = Counter()
        self.loads: list[str] = []

    def weigh(self, sizes: Mapping[str, int | None], budget: int | None) -> None:
        """Set the budget and the bytes of engines; one whose size is unknown is loaded alone."""
        self.ledger.budget = budget
        for engine in self.ledger.engines.values():
            if engine.id not in self._fixed:
                size = sizes.get(engine.id)
                self.ledger.resize(engine, (budget or 0) if size is None else size)

    def add(self, line: int, experts: Iterable[str], later: Iterable[str] = ()) -> None:
        """Queue a line for each of `experts`; in later steps it will likely want `later`."""
        record = self._lines.setdefault(line, _OpenLine())
        self._count(record, -1)
        record.ahead = frozenset(self._engine[expert] for expert in later)
        for expert in experts:
            engine = self._engine[expert]
            record.open[engine] += 1
            heapq.heappush(self.queues[engine], Turn(line, expert))
        self._count(record, +1)

    def next(self) -> BatchAction | None:
        """Return what to do now, taken as begun; None when only waiting is left."""
        engine = self._order.start(self)
        if engine is not None:
            turn = heapq.heappop(self.queues[engine])
            self.running[engine] += 1
            self._touch(engine)
            return StartTurn(turn)
        wanted = self._order.load(self)
        if wanted is None:
            return None
        if self.fits(wanted):
            self.ledger.load(self._held(wanted))
            self.loads.append(wanted)
            self._touch(wanted)
            return Load(wanted)
        return self._make_room(wanted)

    def finished(self, turn: Turn) -> bool:
        """Note that a turn is served; return whether it was the last open one of its line.

        The line then stays known until `add` or `leave`, so that its later steps still count.
        """
        engine = self._engine[turn.expert]
        self.running[engine] -= 1
        self._touch(engine)
        record = self._lines[turn.line]
        self._count(record, -1)
        record.open[engine] -= 1
        if not record.open[engine]:
            del record.open[engine]
        self._count(record, +1)
        return not record.open

    def leave(self, line: int) -> None:
        """Forget a line that has its result."""
        self._count(self._lines.pop(line, _OpenLine()), -1)

    def loaded(self, engine: str, *, failed: bool = False) -> None:
        """Note that an engine is loaded; one that `failed` takes no memory and stays as it is."""
        held = self._held(engine)
        if failed:  # it counts as there, so that whoever wants it comes to be told why
            self._fixed.add(engine)
            self.ledger.resize(held, 0)
        self.ledger.landed(held, loaded=True)

    def unloaded(self, engine: str) -> None:
        """Note that an engine is gone."""
        self.ledger.gone(self._held(engine))

    @property
    def busy(self) -> bool:
        """Whether anything is under way that will change what can be done."""
        moving = self.ledger.among(EngineState.LOADING, EngineState.UNLOADING)
        return bool(moving) or self.running.total() > 0

    @property
    def wanted(self) -> list[str]:
        """Absent engines that turns wait for."""
        return [e.id for e in self.ledger.among(EngineState.ABSENT) if self.queues[e.id]]

    @property
    def idle(self) -> list[str]:
        """Loaded engines that nothing runs on and that can be unloaded, longest unused first."""
        names = [
            engine.id
            for engine in self.ledger.among(EngineState.LOADED)
            if not self.running[engine.id] and engine.id not in self._fixed
        ]
        return sorted(names, key=lambda engine: self._used_at[engine])

    def fits(self, engine: str) -> bool:
        """Return whether `engine` can be loaded beside what is there."""
        return self.ledger.fits(self._held(engine))

    def absent(self, engine: str) -> bool:
        """Return whether `engine` is not there, and not on its way in or out."""
        return self._held(engine).state is EngineState.ABSENT

    def startable(self, engine: str) -> bool:
        """Return whether a turn of `engine` can start now."""
        loaded = self._held(engine).state is EngineState.LOADED
        return loaded and bool(self.queues[engine]) and self.running[engine] < self.slots

    def _make_room(self, wanted: str) -> Unload | None:
        """Unload the first victim if all of them together make room; else wait.

        An engine sent away in vain would be loaded again for nothing.
        """
        victims = [self._held(engine) for engine in self._order.victims(self, wanted)]
        leaving = self.ledger.among(EngineState.UNLOADING)
        short = self.ledger.short(self._held(wanted)) - sum(engine.size for engine in leaving)
        if short <= 0:
            return None  # what is leaving already is enough
        if not victims or short > sum(engine.size for engine in victims):
            return None
        self.ledger.unload(victims[0])
        return Unload(victims[0].id)

    def _held(self, engine: str) -> Holding:
        return self.ledger.engines[engine]

    def _touch(self, engine: str) -> None:
        self._tick += 1
        self._used_at[engine] = self._tick

    def _count(self, line: _OpenLine, sign: int) -> None:
        """Add or take away what a line contributes to `ahead` and `fed`.

        Orders read these sums at each step and lines are many, so they are not counted anew: a
        line's part is taken out before it changes and put back after.
        """
        for engine in line.ahead:
            self.ahead[engine] += sign
            if any(other != engine for other in line.open):
                self.fed[engine] += sign
