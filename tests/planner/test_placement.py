"""Placement: as good as trying everything, and better than the greedy rule."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.planner.fleets import GIB, demand, machine

from motet.planner import make_plan
from motet.planner.first_fit import first_fit
from motet.planner.placement import expected_wait, place


@settings(max_examples=40)
@given(st.lists(st.integers(2, 12), min_size=1, max_size=6), st.integers(10, 24), st.randoms())
def test_small_fleets_are_planned_as_well_as_by_trying_everything(sizes, memory, rng):
    """One device: the best residents are the best subset that fits."""
    experts = [demand(f"e{n}", size, rng.random()) for n, size in enumerate(sizes)]
    devices = machine(memory)
    best = min(
        expected_wait(experts, devices, dict.fromkeys(chosen, (0,)), frozenset())
        for bits in range(2 ** len(experts))
        for chosen in [[e.expert for n, e in enumerate(experts) if bits >> n & 1]]
        if sum(e.size for e in experts if e.expert in chosen) <= memory * GIB
    )
    found = place(experts, devices)
    assert found.gap == 0 and found.wait_s == pytest.approx(best)


def test_the_program_beats_the_greedy_rule_where_it_goes_wrong():
    # The small hot expert keeps first-fit from the pair that fills the device.
    experts = [demand("a", 6, 0.36), demand("b", 5, 0.29), demand("c", 5, 0.29)]
    plan = make_plan(experts, machine(10))
    assert {s.demand.expert for s in plan.seats if s.devices} == {"b", "c"}
    assert plan.wait_s < plan.first_fit_wait_s and set(first_fit(experts, machine(10))) == {"a"}


def test_traffic_is_level_among_devices():
    experts = [demand(f"e{n}", 5, 0.25) for n in range(4)]
    plan = make_plan(experts, machine(20, 20))
    assert [len(plan.on(name)) for name in ("d0", "d1")] == [2, 2]
