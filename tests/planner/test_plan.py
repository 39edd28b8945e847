"""Plans: never over memory, never worse than first-fit decreasing, and what to do if nothing fits."""

import random

import pytest
from tests.planner.fleets import GIB, demand, document_in, machine

from motet.config import parse
from motet.errors import ConfigError
from motet.planner import Demand, Tier, make_plan, plan_config
from motet.planner.devices import parse_machine


@pytest.fixture
def document(tmp_path):
    return document_in(tmp_path)


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


def test_who_holds_a_model_has_a_seat_and_an_adapter_pins_its_base(document):
    plan = plan_config(document, parse_machine("2GiB"), traffic={"other": 9.0, "tuned": 1.0})
    seats = {seat.demand.expert: seat for seat in plan.seats}
    assert set(seats) == {"base", "other"}
    assert seats["base"].demand.pinned and seats["base"].state is Tier.RESIDENT
    assert seats["base"].demand.traffic == pytest.approx(0.1)


def test_more_may_be_pinned_than_the_config_pins(document):
    plan = plan_config(document, parse_machine("4GiB"), pinned=["other"])
    assert all(seat.demand.pinned for seat in plan.seats)
    with pytest.raises(ConfigError, match="no expert 'othr'. Did you mean 'other'"):
        plan_config(document, parse_machine("4GiB"), pinned=["othr"])


def test_this_machine_is_where_nothing_else_is_said(document):
    assert [device.name for device in plan_config(document).machine.devices] == ["cpu"]


def test_a_config_without_models_is_told(tmp_path):
    document = parse("version: 1\nexperts:\n  - {id: e, engine: fake}\n", name="x", folder=tmp_path)
    with pytest.raises(ConfigError, match="x: no expert of this config holds a model here"):
        plan_config(document)
