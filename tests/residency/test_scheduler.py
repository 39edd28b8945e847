"""The scheduler of residency in virtual time: memory, bounds, fairness, one load for all."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.residency.plays import UNLOAD_S, Play, every_policy, two

from motet.residency.actions import Bounds
from motet.residency.engine import Engine
from motet.residency.ledger import EngineState


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
