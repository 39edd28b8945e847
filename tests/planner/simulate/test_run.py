"""The simulator: the swapper's decisions in virtual time."""

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.residency.helpers import Scripted, virtually

from motet.planner.simulate.pace import Pace
from motet.planner.simulate.run import SimulatedExpert, simulate, together
from motet.planner.simulate.trace import Trace, make_trace
from motet.residency.actions import Bounds
from motet.residency.engine import Engine
from motet.residency.policy import POLICIES
from motet.residency.swapper import Swapper

every_policy = pytest.mark.parametrize("policy", POLICIES)
UNLOAD_S = 0.25
LEAD_S = 100.0


def ideal(pace, engines, requests, loading):
    """Return the speeds of a device on which nobody slows anybody down, as who sleeps does not."""
    return 1.0, 1.0


async def serve(places, trace, rules, policy):
    """Serve a trace with the real swapper; return each request's wait, None when refused."""
    engines = Scripted(
        {p.expert: p.size for p in places},
        {p.expert: p.load_s for p in places},
        rules.budget,
        UNLOAD_S,
    )
    swapper = Swapper(engines, rules, policy)
    for p in places:
        swapper._scheduler.add(Engine(p.expert, p.size, p.load_s, p.slots, p.pinned))
    swapper._pump()
    now = asyncio.get_running_loop().time
    waits = [None] * len(trace)

    async def one(number):
        await asyncio.sleep(LEAD_S + trace.at[number] - now())
        name = trace.names[trace.expert[number]]
        try:
            async with swapper.lease(name, name):
                waits[number] = now() - LEAD_S - trace.at[number]
                await asyncio.sleep(trace.seconds[number])
        except Exception:
            pass

    await asyncio.gather(*(one(number) for number in range(len(trace))))
    await swapper.close()
    return waits, engines.loads


@every_policy
@pytest.mark.parametrize("seed", range(6))
def test_the_simulator_says_what_the_swapper_does(policy, seed):
    rng = np.random.default_rng(seed)
    places = [
        SimulatedExpert(
            f"e{n}", int(rng.integers(1, 4)), float(rng.uniform(0.5, 4)), slots=2, pinned=n == 5
        )
        for n in range(6)
    ]
    names = [place.expert for place in places]
    trace = make_trace(names, 300, rate=1.0, skew=0.8, seconds=0.7, seed=seed)
    rules = Bounds(budget=7, max_wait_s=20.0, turn_s=4.0)
    expected = simulate(places, trace, rules, policy, Pace(unload_s=UNLOAD_S), speeds=ideal)
    waits, loads = virtually(serve(places, trace, rules, policy))
    assert len(loads) == expected.loads > 6
    assert [wait is not None for wait in waits] == expected.served.tolist()
    served = expected.served
    found = np.array([np.nan if wait is None else wait for wait in waits])
    np.testing.assert_allclose(found[served], expected.wait_s[served], atol=1e-6)


@every_policy
@given(
    rate=st.floats(0.1, 20),
    budget=st.integers(3, 8),
    seed=st.integers(0, 1000),
    row=st.floats(0, 1),
)
def test_every_request_ends_within_its_bound(policy, rate, budget, seed, row):
    places = [SimulatedExpert(f"e{n}", 1 + n % 3, 0.5 + n, slots=1 + n) for n in range(5)]
    trace = make_trace([p.expert for p in places], 80, rate=rate, seconds=2.0, seed=seed)
    rules = Bounds(budget, max_wait_s=15.0, max_waiting=20)
    pace = Pace(row_share=row, beside_load=2.0, beside_answers=1.5)
    outcome = simulate(places, trace, rules, policy, pace)
    assert (outcome.wait_s <= 15.0 + 1e-6).all() and (outcome.wait_s >= 0).all()
    assert outcome.served.sum() + (~outcome.served).sum() == len(trace)
    assert outcome.served[outcome.hit].all() or not outcome.hit.any()


def test_work_is_shared_by_those_who_run():
    """Two requests of a second on one engine take 1 + row_share seconds, on two engines two."""
    places = [SimulatedExpert("a", 1, 0.0), SimulatedExpert("b", 1, 0.0)]
    for experts, row_share, takes in (([0, 0], 0.25, 1.25), ([0, 1], 0.25, 2.0), ([0], 0.25, 1.0)):
        count = len(experts)
        trace = Trace(("a", "b"), np.full(count, 10.0), np.array(experts), np.ones(count))
        outcome = simulate(places, trace, Bounds(2), "worth", Pace(row_share=row_share))
        assert outcome.seconds == pytest.approx(takes)


def test_loading_and_answering_slow_each_other():
    places = [SimulatedExpert(name, 1, 4.0) for name in "abc"]
    trace = Trace(("a", "b", "c"), np.array([5.0, 5.0]), np.array([1, 2]), np.array([2.0, 1.0]))
    pace = Pace(beside_load=2.0, beside_answers=2.0, unload_s=0.0, row_share=0.0)
    outcome = simulate(places, trace, Bounds(2), "lru", pace)
    # `a` and `b` are there. While `c` is loaded in the place of `a`, `b` answers at half its pace
    # until 9.0, when 2 s of the load are left.
    assert outcome.wait_s.tolist() == pytest.approx([0.0, 6.0])
    assert outcome.hit.tolist() == [True, False]


def test_parts_of_a_trace_come_together():
    places = [SimulatedExpert("a", 1, 1.0), SimulatedExpert("b", 1, 1.0)]
    trace = make_trace(["a", "b"], 50, rate=2.0, seed=1)
    parts = []
    for number, place in enumerate(places):
        rows = np.flatnonzero(trace.expert == number)
        part = Trace(trace.names, trace.at[rows], trace.expert[rows], trace.seconds[rows])
        parts.append((simulate([place], part, Bounds(1), "lru", Pace()), rows))
    whole = together(parts, len(trace))
    assert whole.loads == 2 and whole.served.all()
    assert whole.wait_s[parts[0][1]].tolist() == parts[0][0].wait_s.tolist()
