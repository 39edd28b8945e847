"""Plays of requests over few places, for the tests of who is loaded and who leaves."""

import heapq
import itertools
from collections import Counter
from dataclasses import dataclass, field

import pytest

from motet.residency.actions import Bounds, Load, Refuse, Start, Unload
from motet.residency.engine import Engine
from motet.residency.ledger import EngineState
from motet.residency.policy import POLICIES
from motet.residency.scheduler import Scheduler

UNLOAD_S = 0.25


every_policy = pytest.mark.parametrize("policy", POLICIES)


@dataclass
class Played:
    """What came of a trace: each request's wait, or the reason why it was refused."""

    waits: dict[int, float] = field(default_factory=dict)
    refused: dict[int, tuple[float, str]] = field(default_factory=dict)
    left: set[int] = field(default_factory=set)
    loads: list[str] = field(default_factory=list)
    unloads: list[str] = field(default_factory=list)
    most: int = 0


class Play:
    """Drives a scheduler through events, checking after each that its promises hold.

    Parameters
    ----------
    requests
        (time, engine, seconds of service, seconds of patience or None) each.
    failing
        Engine -> how often loading it fails before it succeeds.
    """

    def __init__(self, engines, requests, rules, policy="worth", failing=None, measure=None):
        self.scheduler = Scheduler(rules, POLICIES[policy](), measure or (lambda: None))
        for engine in engines:
            self.scheduler.add(engine)
        self.rules, self.requests, self.played = rules, requests, Played()
        self._failing = Counter(failing or {})
        self._numbers = itertools.count()
        self._events = []
        self._number_of = {}
        self._loading_since = {}
        self.now = 0.0

    def run(self, until=10_000.0) -> Played:
        for number, request in enumerate(self.requests):
            self._at(request[0], self._ask, number)
        self._act()
        while True:
            wake_at = self.scheduler.wake_at
            next_at = self._events[0][0] if self._events else float("inf")
            if min(wake_at, next_at) > until:
                return self.played
            assert min(wake_at, next_at) >= self.now, "time stands still"
            if next_at <= wake_at:
                self.now, _, what, argument = heapq.heappop(self._events)
                what(argument)
            else:
                assert wake_at > self.now, "asked again with nothing to do"
                self.now = wake_at
            self._act()

    def _at(self, time, what, argument):
        heapq.heappush(self._events, (time, next(self._numbers), what, argument))

    def _ask(self, number):
        _, engine, _, patience = self.requests[number]
        ticket = self.scheduler.ask(engine, self.now)
        self._number_of[ticket] = number
        if patience is not None:
            self._at(self.now + patience, self._give_up, ticket)

    def _give_up(self, ticket):
        number = self._number_of[ticket]
        if number not in self.played.waits and number not in self.played.refused:
            self.played.left.add(number)
            self.scheduler.leave(ticket, self.now)

    def _finish(self, ticket):
        self.scheduler.leave(ticket, self.now)

    def _loaded(self, name):
        if self._failing[name] > 0:
            self._failing[name] -= 1
            self.scheduler.failed(name, self.now, OSError("no disk"))
        else:
            took = self.now - self._loading_since[name]
            self.scheduler.loaded(name, self.now, took)

    def _act(self):
        while action := self.scheduler.next(self.now):
            match action:
                case Start(ticket):
                    number = self._number_of[ticket]
                    assert number not in self.played.left
                    engine = self.scheduler.engines[ticket.engine]
                    assert engine.state is EngineState.LOADED and engine.running <= engine.slots
                    self.played.waits[number] = self.now - ticket.asked_at
                    self._at(self.now + self.requests[number][2], self._finish, ticket)
                case Load(name):
                    self.played.loads.append(name)
                    self._loading_since[name] = self.now
                    self._at(self.now + self.scheduler.engines[name].load_s, self._loaded, name)
                case Unload(name):
                    engine = self.scheduler.engines[name]
                    assert not engine.running
                    self.played.unloads.append(name)
                    self._at(self.now + UNLOAD_S, self.scheduler.unloaded, name)
                case Refuse(ticket, reason):
                    self.played.refused[self._number_of[ticket]] = (
                        self.now - ticket.asked_at,
                        reason,
                    )
            self._check()

    def _check(self):
        engines = self.scheduler.engines.values()
        used = sum(e.size for e in engines if e.state is not EngineState.ABSENT)
        assert used == self.scheduler.ledger.used <= self.rules.budget
        assert self.scheduler.waiting == sum(e.waiting for e in engines)
        assert sum(e.state is EngineState.LOADING for e in engines) <= 1
        self.played.most = max(self.played.most, used)


def two(budget=1, load_s=2.0, **rules):
    engines = [Engine("a", 1, load_s), Engine("b", 1, load_s)]
    return engines, Bounds(budget, **rules)
