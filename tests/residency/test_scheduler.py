"""The scheduler of residency in virtual time: memory, bounds, fairness, one load for all."""

import heapq
import itertools
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@st.composite
def fleets(draw):
    """Engines that fit one by one beside what is pinned, a budget, and a trace for them."""
    budget = draw(st.integers(4, 12))
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    pinned_left = budget - 4
    engines = []
    for number, size in enumerate(sizes):
        pinned = size <= pinned_left and draw(st.booleans())
        pinned_left -= size * pinned
        load_s = draw(st.floats(0.1, 8.0))
        engines.append(Engine(f"e{number}", size, load_s, draw(st.integers(1, 3)), pinned=pinned))
    requests = draw(
        st.lists(
            st.tuples(
                st.floats(0.0, 120.0),
                st.sampled_from([engine.id for engine in engines]),
                st.floats(0.01, 15.0),
                st.none() | st.floats(0.1, 30.0),
            ),
            max_size=60,
        )
    )
    return engines, sorted(requests, key=lambda request: request[0]), budget


@every_policy
@given(fleet=fleets(), waits=st.floats(1.0, 60.0))
def test_whatever_comes_memory_and_bounds_are_kept(policy, fleet, waits):
    engines, requests, budget = fleet
    rules = Bounds(budget, max_wait_s=waits, turn_s=5.0)
    played = Play(engines, requests, rules, policy).run()
    ended = played.waits.keys() | played.refused.keys() | played.left
    assert ended == set(range(len(requests))), "every request ends"
    assert all(wait <= waits + 1e-9 for wait in played.waits.values())
    assert all(wait <= waits + 1e-9 for wait, _ in played.refused.values())
    assert not {e.id for e in engines if e.pinned} & set(played.unloads), "pinned ones stay"


@every_policy
@given(
    fleet=fleets(), failing=st.dictionaries(st.sampled_from(["e0", "e1", "e2"]), st.integers(1, 4))
)
def test_failing_loads_end_every_request_too(policy, fleet, failing):
    engines, requests, budget = fleet
    played = Play(engines, requests, Bounds(budget), policy, failing).run()
    ended = played.waits.keys() | played.refused.keys() | played.left
    assert ended == set(range(len(requests)))


@every_policy
@given(fleet=fleets())
def test_with_patience_nobody_is_refused(policy, fleet):
    """No starvation and no deadlock: with time enough every request is served."""
    engines, requests, budget = fleet
    requests = [(*request[:3], None) for request in requests]
    rules = Bounds(budget, max_wait_s=5_000.0, turn_s=5.0)
    played = Play(engines, requests, rules, policy).run()
    assert len(played.waits) == len(requests)


@every_policy
@given(fleet=fleets(), left=st.lists(st.integers(0, 12), min_size=1, max_size=20))
def test_measured_memory_binds_whatever_the_ledger_says(policy, fleet, left):
    """Others take and give back memory; no load begins with less free than it takes."""
    engines, requests, budget = fleet
    measured = itertools.cycle(left)
    seen = []

    def measure():
        seen.append(next(measured))
        return seen[-1]

    class Watched(Play):
        def _check(self):
            super()._check()
            for engine in self.scheduler.engines.values():
                if engine.state is EngineState.LOADING:
                    assert engine.size <= max(seen)

    rules = Bounds(budget, max_wait_s=30.0, turn_s=5.0)
    played = Watched(engines, requests, rules, policy, measure=measure).run(until=500.0)
    ended = played.waits.keys() | played.refused.keys() | played.left
    assert ended == set(range(len(requests)))


def two(budget=1, load_s=2.0, **rules):
    engines = [Engine("a", 1, load_s), Engine("b", 1, load_s)]
    return engines, Bounds(budget, **rules)


@every_policy
def test_requests_for_one_sleeping_engine_share_its_load(policy):
    engines, rules = two()
    requests = [(50.0 + n / 100, "b", 1.0, None) for n in range(20)]
    played = Play(engines, requests, rules, policy).run()
    assert played.loads == ["a", "b"]  # a was loaded ahead, as it fitted
    assert len(played.waits) == 20


@pytest.mark.parametrize("policy", ["worth", "lru"])
def test_endless_traffic_starves_nobody(policy):
    engines, rules = two(max_wait_s=60.0, turn_s=5.0)
    busy = [(10 + n * 0.5, "a", 3.0, None) for n in range(400)]
    requests = sorted([*busy, (50.0, "b", 1.0, None), (120.0, "b", 1.0, None)])
    played = Play(engines, requests, rules, policy).run()
    waits = [played.waits[requests.index((at, "b", 1.0, None))] for at in (50.0, 120.0)]
    turn, answer, load = 5.0, 3.0, 2.0
    assert max(waits) <= turn + answer + UNLOAD_S + load + 1e-6
    assert not played.refused


def test_a_request_that_leaves_calls_off_the_swap():
    engines, rules = two(turn_s=5.0)
    busy = [(10 + n * 0.5, "a", 3.0, None) for n in range(40)]
    requests = sorted([*busy, (15.0, "b", 1.0, 6.0)])  # gives up while `a` drains for it
    played = Play(engines, requests, rules, "lru").run()
    assert played.loads == ["a"] and not played.unloads
    assert len(played.waits) == 40 and len(played.left) == 1


def test_the_load_that_serves_most_comes_first():
    engines = [Engine(name, 1, 2.0) for name in ("held", "few", "many")]
    requests = [(10.0, "held", 5.0, None), (11.0, "few", 0.1, None)]
    requests += [(11.5 + n / 10, "many", 0.1, None) for n in range(5)]
    assert Play(engines, requests, Bounds(1), "worth").run().loads == ["held", "many", "few"]
    engines = [Engine(name, 1, 2.0) for name in ("held", "few", "many")]
    assert Play(engines, requests, Bounds(1), "lru").run().loads == ["held", "few", "many"]


def test_the_engine_of_least_worth_leaves():
    engines = [Engine("dear", 1, 20.0), Engine("cheap", 1, 1.0), Engine("new", 1, 1.0)]
    requests = [(30.0, "dear", 0.1, None), (31.0, "cheap", 0.1, None), (200.0, "new", 0.1, None)]
    played = Play(engines, requests, Bounds(2), "worth").run()
    assert played.unloads == ["cheap"]
    engines = [Engine("dear", 1, 20.0), Engine("cheap", 1, 1.0), Engine("new", 1, 1.0)]
    assert Play(engines, requests, Bounds(2), "lru").run().unloads == ["dear"]


def test_a_large_engine_does_not_send_more_away_than_it_needs():
    sizes = {"small": 1, "middle": 2, "large": 3}
    engines = [Engine(name, size, 1.0) for name, size in sizes.items()]
    requests = [(10.0, "small", 0.1, None), (20.0, "middle", 0.1, None), (90.0, "large", 0.1, None)]
    played = Play(engines, requests, Bounds(5), "lru").run()
    assert played.loads == ["small", "middle", "large"]
    assert played.unloads == ["small"]


@every_policy
def test_too_large_is_refused_at_once_with_both_sizes(policy):
    mib = 2**20
    engines = [Engine("home", 3 * mib, 1.0, pinned=True), Engine("huge", 4 * mib, 1.0)]
    played = Play(engines, [(5.0, "huge", 1.0, None)], Bounds(6 * mib), policy).run()
    wait, reason = played.refused[0]
    assert wait == 0
    assert reason == "it takes 4MiB, and residency.memory has 3MiB beside what is pinned (home)"
    assert played.loads == ["home"]


def test_a_refusal_says_who_holds_the_memory():
    engines, rules = two(max_wait_s=4.0, turn_s=60.0)
    requests = [(5.0, "a", 100.0, None), (6.0, "b", 1.0, None)]
    wait, reason = Play(engines, requests, rules).run().refused[1]
    assert wait == 4.0
    assert reason == "it had no turn within 4 s: the memory (1MiB) is held by 'a' (1 under way)"


def test_a_full_queue_refuses_at_once():
    engines, rules = two(max_waiting=3, turn_s=60.0)
    requests = [(5.0, "a", 30.0, None), *[(6.0 + n, "b", 1.0, None) for n in range(5)]]
    played = Play(engines, requests, rules).run()
    late = [played.refused[number] for number in (4, 5)]
    assert [wait for wait, _ in late] == [0, 0]
    assert "3 requests wait" in late[0][1]


def test_a_failed_load_tells_all_who_wait_and_rests():
    engines, rules = two()
    requests = [
        (10.0, "b", 1.0, None),
        (10.5, "b", 1.0, None),
        (13.0, "b", 1.0, None),
        (60.0, "b", 1.0, None),
    ]
    played = Play(engines, requests, rules, failing={"b": 1}).run()
    assert {0, 1, 2} == played.refused.keys()
    assert "no disk" in played.refused[0][1]
    assert played.refused[2][0] == 0, "while it rests nobody waits for it"
    assert played.waits.keys() == {3}


def test_a_pinned_engine_is_loaded_again_after_a_failure():
    engines = [Engine("home", 1, 1.0, pinned=True)]
    played = Play(engines, [(30.0, "home", 1.0, None)], Bounds(1), failing={"home": 2}).run()
    assert played.loads == ["home"] * 3
    assert played.waits == {0: 0.0}


def test_a_broken_engine_leaves_and_comes_back():
    engines, rules = two(budget=2)
    play = Play(engines, [(10.0, "a", 5.0, None), (30.0, "a", 1.0, None)], rules)
    play._at(12.0, play.scheduler.dismiss, "a")
    played = play.run()
    assert played.unloads == ["a"]
    assert played.loads == ["a", "b", "a"]
    assert len(played.waits) == 2
