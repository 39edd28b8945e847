"""The whole plan: who is resident, asleep or on disk, with how much memory, and why."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import floor

from motet.config import Document
from motet.errors import ConfigError
from motet.planner.demand import Demand, demands
from motet.planner.devices import Device, Machine, this_machine
from motet.planner.placement import Placement, place
from motet.units import readable


class Tier(StrEnum):
    """Where an expert waits for requests."""

    RESIDENT = "resident"
    ASLEEP = "asleep"
    ON_DISK = "on disk"


@dataclass(frozen=True, slots=True)
class PlanSeat:
    """One expert of a plan.

    Attributes
    ----------
    devices
        Names of the devices that it is resident on.
    kv
        Bytes for keys and values over all its devices: what it asked for and its share of what was
        left.
    share
        Part of each device's whole memory, which is vLLM's `gpu_memory_utilization`.
    wait_s
        Expected seconds before it answers a request that finds nobody else waiting.
    """

    demand: Demand
    state: Tier
    devices: tuple[str, ...]
    kv: int
    share: float
    wait_s: float
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Seats for all experts.

    Attributes
    ----------
    wait_s, first_fit_wait_s
        Expected seconds that a request waits for its expert, and by first-fit decreasing.
    gap
        How far, as a share, `wait_s` may lie above the best possible; 0 when proven the best.
    seconds
        How long planning took.
    """

    machine: Machine
    seats: tuple[PlanSeat, ...]
    wait_s: float
    first_fit_wait_s: float | None
    gap: float
    seconds: float

    def on(self, device: str) -> list[PlanSeat]:
        """Return who is resident on a device."""
        return [seat for seat in self.seats if device in seat.devices]


def plan_config(
    document: Document,
    machine: Machine | None = None,
    *,
    traffic: Mapping[str, float] | None = None,
    pinned: Collection[str] = (),
    concurrency: int = 8,
    seconds: float = 2.5,
) -> Plan:
    """Return the plan for the experts of a config that hold a model; loads none.

    Parameters
    ----------
    machine
        Where they are to live; this machine when None.
    traffic
        Expert -> weight; equal when None, and 0 for experts it leaves out.
    pinned
        Experts that never leave, beside those that the config pins; an adapter pins its base.
    concurrency
        Requests of full context that each engine shall hold at once.
    seconds
        Time for the best plan.

    Raises
    ------
    ConfigError
        Nobody holds a model, a name is no expert's, or the experts do not fit.
    SourceError
        Weights cannot be had, or say nothing of their size.
    """
    machine = machine or this_machine()
    wanted = demands(
        document,
        concurrency=concurrency,
        traffic=traffic,
        pinned=frozenset([*pinned, *(e.host for e in document.config.experts if e.pinned)]),
        gpu=machine.gpus,
    )
    if not wanted:
        raise ConfigError(f"{document.name}: no expert of this config holds a model here.")
    return make_plan(wanted, machine, seconds=seconds)


def make_plan(experts: Sequence[Demand], machine: Machine, *, seconds: float = 2.5) -> Plan:
    """Return the plan for experts on a machine.

    Raises
    ------
    ConfigError
        An expert fits nowhere, or the pinned ones do not fit together; says the smallest change
        that would make it fit.
    """
    began = time.monotonic()
    problems = [text for d in experts if (text := _too_large(d, machine))]
    if problems:
        raise ConfigError(problems)
    placement = place(experts, machine, seconds)
    if placement is None:
        raise ConfigError(_too_many_pinned(experts, machine))
    return Plan(
        machine,
        seats=tuple(_seat(d, placement, experts, machine) for d in experts),
        wait_s=placement.wait_s,
        first_fit_wait_s=placement.first_fit_wait_s,
        gap=placement.gap,
        seconds=time.monotonic() - began,
    )


def _seat(
    demand: Demand, placement: Placement, experts: Sequence[Demand], machine: Machine
) -> PlanSeat:
    home = placement.homes.get(demand.expert)
    if home is None:
        asleep = demand.expert in placement.asleep
        wait = machine.wake_s(demand.weights) if asleep else machine.load_s(demand.weights)
        why = (
            f"{demand.traffic:.1%} of requests, ready in {wait:.2g} s"
            if demand.traffic
            else "nobody asks for it"
        )
        state = Tier.ASLEEP if asleep else Tier.ON_DISK
        return PlanSeat(demand, state, (), 0, 0.0, wait, why)
    extra = min(_left(number, demand, placement, experts, machine) for number in home)
    part = demand.part + extra
    devices = [machine.devices[number] for number in home]
    share = min(part / device.total for device in devices)
    why = "pinned" if demand.pinned else f"{demand.traffic:.1%} of requests"
    names = tuple(device.name for device in devices)
    kv = demand.kv + extra * demand.parts
    share = floor(10_000 * share) / 10_000  # never up: the shares of a device fit it together
    return PlanSeat(demand, Tier.RESIDENT, names, kv, share, 0.0, why)


def _left(
    number: int,
    demand: Demand,
    placement: Placement,
    experts: Sequence[Demand],
    machine: Machine,
) -> int:
    """Return an expert's share, by traffic, of what nobody asked for on a device, in bytes."""
    there = [d for d in experts if number in placement.homes.get(d.expert, ())]
    free = machine.devices[number].memory - sum(d.part for d in there)
    traffic = sum(d.traffic for d in there)
    return int(free * (demand.traffic / traffic if traffic else 1 / len(there)))


def _too_large(demand: Demand, machine: Machine) -> str | None:
    """Return why an expert fits nowhere and what would help; None when it fits."""
    if _fits(demand, machine.devices):
        return None
    largest = sorted((d.memory for d in machine.devices), reverse=True)
    room = largest[min(demand.parts, len(largest)) - 1]
    ways = []
    shrunk = (room - demand.engine) * demand.parts - demand.weights
    if shrunk > 0 and demand.parts <= len(largest):
        ways.append(
            f"keys and values of {readable(shrunk)} instead of {readable(demand.kv)} (a lower "
            "context, --concurrency or resources.memory)"
        )
    for parts in range(demand.parts + 1, len(largest) + 1):
        if _fits(replace(demand, parts=parts), machine.devices):
            ways.append(f"{parts} devices instead of {demand.parts} (resources.gpus: {parts})")
            break
    ways.append(f"a device with {readable(demand.part)} to give")
    spread = "" if demand.parts == 1 else f" on each of {demand.parts} devices"
    return (
        f"expert {demand.expert!r} needs {readable(demand.part)}{spread} (weights "
        f"{readable(demand.weights)}, keys and values {readable(demand.kv)} for "
        f"{demand.about}), and the largest has {readable(largest[0])} to give. It would fit with "
        f"{', or '.join(ways)}."
    )


def _fits(demand: Demand, devices: Sequence[Device]) -> bool:
    return sum(device.memory >= demand.part for device in devices) >= demand.parts


def _too_many_pinned(experts: Sequence[Demand], machine: Machine) -> str:
    pinned = [d for d in experts if d.pinned]
    needed = readable(sum(d.size for d in pinned))
    has = readable(sum(device.memory for device in machine.devices))
    text = f"the pinned experts need {needed} together, and the devices have {has} to give."
    for least in sorted(pinned, key=lambda d: (d.traffic, d.size)):
        others = [d for d in pinned if d is not least]
        if place(others, machine, 1.0) is not None:
            return f"{text} Without pinning {least.expert!r} the others fit."
    return f"{text} No single one less is enough."
