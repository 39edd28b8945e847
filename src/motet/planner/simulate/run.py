"""What a policy does to a trace, without a model: events in virtual time, the service's decisions.

The scheduler is the one that serves; only time is invented here. A device is shared by those who
run on it: one clock of work runs slower the more of them there are, so that a request ends when
that clock has advanced by its work, and no event touches all of them.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from motet.planner.simulate.pace import Pace
from motet.planner.simulate.trace import Trace
from motet.residency.actions import Bounds, Load, Refuse, Start, Unload
from motet.residency.engine import Engine, Ticket
from motet.residency.policy import POLICIES
from motet.residency.scheduler import Scheduler

_REPORT_EVERY = 20_000


@dataclass(frozen=True, slots=True)
class SimulatedExpert:
    """An expert as the simulator knows it.

    Attributes
    ----------
    size
        Bytes it takes while it is loaded.
    load_s
        Seconds that loading takes on an idle device.
    """

    expert: str
    size: int
    load_s: float
    slots: int = 8
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class PolicyOutcome:
    """What came of a trace; arrays have an entry for each request, in the trace's order.

    Attributes
    ----------
    wait_s
        Seconds from arrival to a place on a loaded engine, or to the refusal.
    served
        Whether it was answered.
    hit
        Whether its engine was loaded when it came.
    loads
        How often an engine was loaded.
    seconds
        From the first arrival to the last answer.
    """

    wait_s: npt.NDArray[np.float64]
    served: npt.NDArray[np.bool_]
    hit: npt.NDArray[np.bool_]
    loads: int
    seconds: float

    @property
    def throughput(self) -> float:
        """Answers a second."""
        return float(self.served.sum()) / self.seconds if self.seconds else 0.0

    def wait(self, percentile: float) -> float:
        """Return a percentile of the seconds waited, refused requests among them."""
        return float(np.percentile(self.wait_s, percentile)) if len(self.wait_s) else 0.0


Speeds = Callable[[Pace, int, int, bool], tuple[float, float]]
"""From a pace, how many engines answer, how many requests they answer, and whether one is loaded:
how fast the clock of work and the load advance."""


def shared(pace: Pace, engines: int, requests: int, loading: bool) -> tuple[float, float]:
    """Return the speeds of a device on which everybody slows everybody down."""
    slower = (1 - pace.row_share) * engines + pace.row_share * requests
    speed = 1 / max(1.0, slower)
    if not loading:
        return speed, 0.0
    return speed / pace.beside_load, 1 / (pace.beside_answers if requests else 1.0)


def simulate(
    experts: Sequence[SimulatedExpert],
    trace: Trace,
    rules: Bounds,
    policy: str,
    pace: Pace,
    report: Callable[[float], None] = lambda done: None,
    *,
    speeds: Speeds = shared,
) -> PolicyOutcome:
    """Return what `policy` makes of a trace on one device whose memory is `rules.budget`.

    What fits is loaded before the trace begins, as it is when a service starts.
    """
    return _Device(experts, trace, rules, policy, pace, speeds).run(report)


def together(
    outcomes: Sequence[tuple[PolicyOutcome, npt.NDArray[np.int64]]], requests: int
) -> PolicyOutcome:
    """Return the outcome of devices that each served a part of a trace.

    Parameters
    ----------
    outcomes
        Each with the numbers of its requests in the whole trace.
    """
    wait_s = np.zeros(requests)
    served, hit = np.zeros(requests, bool), np.zeros(requests, bool)
    for outcome, rows in outcomes:
        wait_s[rows], served[rows], hit[rows] = outcome.wait_s, outcome.served, outcome.hit
    loads = sum(outcome.loads for outcome, _ in outcomes)
    return PolicyOutcome(wait_s, served, hit, loads, max(o.seconds for o, _ in outcomes))


class _Device:
    """One run: the clocks, and what the scheduler's actions do to them."""

    def __init__(
        self,
        experts: Sequence[SimulatedExpert],
        trace: Trace,
        rules: Bounds,
        policy: str,
        pace: Pace,
        speeds: Speeds,
    ) -> None:
        self._trace, self._pace, self._speeds = trace, pace, speeds
        self._scheduler = Scheduler(rules, POLICIES[policy]())
        self._load_s = {e.expert: e.load_s for e in experts}
        for e in experts:
            self._scheduler.add(Engine(e.expert, e.size, e.load_s, e.slots, e.pinned))
        # The service is up before the first request: what fits beside one another is loaded.
        self._now = -sum(e.load_s + 1.0 for e in experts) * pace.beside_answers
        self._work = 0.0  # the clock of work: seconds of a request that has the device to itself
        self._running: list[tuple[float, int, Ticket]] = []
        self._active = 0
        self._unloading: list[tuple[float, str]] = []
        self._loading: str | None = None
        self._load_left = 0.0
        self._load_began = 0.0
        self._number: dict[Ticket, int] = {}
        self._sequence = 0
        self._loads = 0
        self._ended = 0.0
        self._wait_s = np.zeros(len(trace))
        self._served = np.zeros(len(trace), bool)
        self._hit = np.zeros(len(trace), bool)

    def run(self, report: Callable[[float], None]) -> PolicyOutcome:
        """Play the trace to its end."""
        trace, scheduler = self._trace, self._scheduler
        arrivals: list[float] = [*trace.at.tolist(), math.inf]
        names = [trace.names[number] for number in trace.expert.tolist()]
        arrived, requests = 0, len(names)
        self._act()
        while arrived < requests or self._number:
            speed, load_speed = self._speeds(
                self._pace, self._active, len(self._running), self._loading is not None
            )
            ends = (
                self._now + (self._running[0][0] - self._work) / speed
                if self._running
                else math.inf
            )
            lands = self._now + self._load_left / load_speed if self._loading else math.inf
            leaves = self._unloading[0][0] if self._unloading else math.inf
            now = min(arrivals[arrived], ends, lands, leaves, scheduler.wake_at)
            now = max(now, self._now)
            self._work += (now - self._now) * speed
            if self._loading:
                self._load_left -= (now - self._now) * load_speed
            self._now = now
            if ends <= now:
                self._finish()
            elif lands <= now:
                self._land()
            elif leaves <= now:
                scheduler.unloaded(heapq.heappop(self._unloading)[1])
            elif arrivals[arrived] <= now:
                self._number[scheduler.ask(names[arrived], now)] = arrived
                arrived += 1
                if arrived % _REPORT_EVERY == 0:
                    report(arrived)
            self._act()
        seconds = self._ended - float(trace.at[0]) if requests else 0.0
        return PolicyOutcome(self._wait_s, self._served, self._hit, self._loads, seconds)

    def _finish(self) -> None:
        _, _, ticket = heapq.heappop(self._running)
        self._scheduler.leave(ticket, self._now)
        self._served[self._number.pop(ticket)] = True
        self._active -= not self._scheduler.engines[ticket.engine].running
        self._ended = self._now

    def _land(self) -> None:
        engine, self._loading = self._loading, None
        if engine is not None:
            self._scheduler.loaded(engine, self._now, self._now - self._load_began)

    def _act(self) -> None:
        """Do what the scheduler says now."""
        while action := self._scheduler.next(self._now):
            match action:
                case Start(ticket):
                    number = self._number[ticket]
                    self._wait_s[number] = self._now - ticket.asked_at
                    self._hit[number] = ticket.hit
                    self._active += self._scheduler.engines[ticket.engine].running == 1
                    ends = self._work + float(self._trace.seconds[number])
                    self._sequence += 1
                    heapq.heappush(self._running, (ends, self._sequence, ticket))
                case Load(engine):
                    self._loads += 1
                    self._loading = engine
                    self._load_left, self._load_began = self._load_s[engine], self._now
                case Unload(engine):
                    heapq.heappush(self._unloading, (self._now + self._pace.unload_s, engine))
                case Refuse(ticket):
                    self._wait_s[self._number.pop(ticket)] = self._now - ticket.asked_at
                    self._ended = self._now
