"""Plans: never over memory, never worse than first-fit decreasing, and what to do if nothing fits."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motet.errors import ConfigError
from motet.planner import Demand, Device, Machine, Tier, make_plan
from motet.planner.devices import parse_machine
from motet.planner.first_fit import first_fit
from motet.planner.placement import expected_wait, place

GIB = 2**30


def machine(*sizes, host=0):
    return Machine(
        tuple(Device(f"d{n}", s * GIB, s * GIB) for n, s in enumerate(sizes)), host * GIB
    )


def demand(name, size, traffic=0.1, **fields):
    """Return an expert of `size` GiB in all."""
    return Demand(name, (size - 1) * GIB, 0, traffic, **{"engine": GIB, **fields})


def check(plan):
    """What holds for every plan."""
    for device in plan.machine.devices:
        there = plan.on(device.name)
        used = sum((s.demand.weights + s.kv) // s.demand.parts + s.demand.engine for s in there)
        assert used <= device.memory + len(there)  # a byte of rounding for each
        assert sum(s.share for s in there) <= device.memory / device.total + 1e-3
    asleep = [s for s in plan.seats if s.state is Tier.ASLEEP]
    assert sum(s.demand.weights for s in asleep) <= plan.machine.host
    for seat in plan.seats:
        assert (seat.state is Tier.RESIDENT) == bool(seat.devices)
        assert len(set(seat.devices)) == (seat.demand.parts if seat.devices else 0)
        assert seat.state is Tier.RESIDENT or not seat.demand.pinned
        assert not seat.devices or seat.kv >= seat.demand.kv


def fleet(seed):
    rng = random.Random(seed)
    count = rng.randint(1, 24)
    weights = [rng.paretovariate(1.1) for _ in range(count)]
    experts = [
        Demand(
            f"e{n}",
            rng.choice([1, 2, 4, 8, 14, 16]) * GIB,
            rng.randint(0, 6) * GIB,
            weight / sum(weights),
            parts=rng.choice([1, 1, 1, 2]),
            pinned=rng.random() < 0.04,
        )
        for n, weight in enumerate(weights)
    ]
    return experts, machine(
        *(rng.choice([24, 40, 80]) for _ in range(rng.randint(2, 8))), host=rng.choice([0, 32, 128])
    )


@pytest.mark.parametrize("seed", range(100))
def test_random_fleets(seed):
    experts, devices = fleet(seed)
    plan = make_plan(experts, devices, seconds=0.3)
    check(plan)
    assert plan.first_fit_wait_s is None or plan.wait_s <= plan.first_fit_wait_s + 1e-9
    assert 0 <= plan.gap <= 1


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


def test_what_is_left_becomes_keys_and_values_by_traffic():
    plan = make_plan([demand("hot", 3, 0.75), demand("cold", 3, 0.25)], machine(10))
    assert [seat.kv for seat in plan.seats] == [3 * GIB, 1 * GIB]
    assert sum(seat.share for seat in plan.seats) == pytest.approx(1.0)


def test_three_tiers():
    experts = [demand("hot", 8, 0.6), demand("warm", 8, 0.3), demand("cold", 8, 0.1)]
    plan = make_plan(experts, machine(8, host=7))
    assert [s.state for s in plan.seats] == [Tier.RESIDENT, Tier.ASLEEP, Tier.ON_DISK]
    assert plan.seats[1].wait_s < plan.seats[2].wait_s


def test_a_pinned_expert_stays_whatever_its_traffic():
    experts = [demand("hot", 8, 1.0), demand("pinned", 8, 0.0, pinned=True)]
    plan = make_plan(experts, machine(10))
    assert [s.state for s in plan.seats] == [Tier.ON_DISK, Tier.RESIDENT]


def test_an_expert_over_two_devices():
    plan = make_plan([demand("big", 31, 1.0, parts=2)], machine(17, 17, 17))
    assert len(plan.seats[0].devices) == 2


@pytest.mark.parametrize(
    ("expert", "said"),
    [
        (
            Demand("big", 8 * GIB, 9 * GIB, 1.0, about="8 requests of 4,096 tokens"),
            "'big' needs 18 GiB .*8 requests of 4,096 tokens.* the largest has 10 GiB.*"
            "keys and values of 1 GiB instead of 9 GiB.* 2 devices instead of 1 .resources.gpus: 2.",
        ),
        (demand("vast", 100), "a device with 100 GiB to give"),
    ],
)
def test_the_impossible_is_refused_with_what_would_help(expert, said):
    with pytest.raises(ConfigError, match=said):
        make_plan([expert], machine(10, 10))


def test_too_many_pinned():
    experts = [demand("a", 6, 0.5, pinned=True), demand("b", 6, 0.1, pinned=True)]
    with pytest.raises(ConfigError, match="12 GiB together.* Without pinning 'b' the others fit"):
        make_plan(experts, machine(10))


def test_devices_by_name_size_and_number():
    found = parse_machine("2xh100, 24GiB", host=5)
    assert [d.name for d in found.devices] == ["h100-0", "h100-1", "gpu-2"]
    assert found.devices[2].total == 24 * GIB and found.devices[2].memory < 24 * GIB
    assert parse_machine("cpu:8GiB").devices[0].memory == 8 * GIB


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("h10", "Did you mean 'h100'"),
        ("", "names no device"),
        ("2x", "no device"),
        ("24", "give a unit"),
        ("cpu:lots", "no device 'lots'"),
    ],
)
def test_devices_that_are_none(spec, said):
    with pytest.raises(ConfigError, match=said):
        parse_machine(spec)
