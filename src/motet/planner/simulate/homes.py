"""A config as the simulator sees it: devices, who lives on which, and what loading takes there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from motet.config import Document
from motet.errors import ConfigError
from motet.experts import Expert
from motet.experts.build import engine_of
from motet.experts.footprint import sizes_of
from motet.planner import Machine, Plan, Tier, demands, make_plan
from motet.planner.simulate.pace import Pace
from motet.planner.simulate.run import SimulatedExpert
from motet.units import mib


@dataclass(frozen=True, slots=True)
class Home:
    """One device, and the engines that live on it: in its memory or not.

    Attributes
    ----------
    memory
        Bytes that engines may take there together.
    """

    name: str
    memory: int
    experts: tuple[SimulatedExpert, ...]


def hosts_of(document: Document) -> dict[str, str]:
    """Return the engine of every expert that holds a model: its own, or its base's.

    Raises
    ------
    ConfigError
        There is none.
    """
    owners = {
        entry.id: entry.host
        for entry in document.config.experts
        if engine_of(entry).home != "ingress"
    }
    if not owners:
        raise ConfigError(f"{document.name}: no expert of this config holds a model here.")
    return owners


def here(experts: Mapping[str, Expert], memory: int, pace: Pace) -> list[Home]:
    """Return this machine as one device: sizes as the swapper counts them.

    Raises
    ------
    ConfigError
        An expert's size is not known, or it is larger than `memory`.
    """
    sizes = sizes_of(experts)
    for name, size in sizes.items():
        if size is None:
            raise ConfigError(
                f"expert {name!r}: its weights are not on this machine, so its size is not known.",
                hint="Fetch them once (`motet serve`), or set resources.memory.",
            )
        if size > memory:
            raise ConfigError(
                f"expert {name!r} takes {mib(size)}, and the memory is {mib(memory)}.",
                hint="Give more (--memory, or residency.memory).",
            )
    held = tuple(
        SimulatedExpert(
            name,
            size,
            pace.load_s(size),
            experts[name].slots,
            experts[name].entry.pinned,
        )
        for name, size in sizes.items()
        if size is not None
    )
    return [Home("cpu", memory, held)]


def planned(
    document: Document,
    machine: Machine,
    pace: Pace,
    traffic: Mapping[str, float],
    *,
    concurrency: int,
    seconds: float,
) -> list[Home]:
    """Return the devices of a machine with experts on them as the planner places them.

    Residents live where the plan puts them; each other expert is swapped on one device, dealt out
    so that the seconds of loading they are likely to cause are level. One that sleeps in the
    host's memory wakes at the machine's rate; one on disk loads at the pace's.

    Raises
    ------
    ConfigError
        Experts do not fit, or one is spread over several devices, which is not simulated.
    """
    pinned = frozenset(e.id for e in document.config.experts if e.pinned)
    wanted = demands(
        document, concurrency=concurrency, traffic=traffic, pinned=pinned, gpu=machine.gpus
    )
    if spread := [d.expert for d in wanted if d.parts > 1]:
        raise ConfigError(f"experts over several devices are not simulated: {', '.join(spread)}.")
    plan = make_plan(wanted, machine, seconds=seconds)
    owners = _owners(plan)
    homes = []
    for device in machine.devices:
        experts = tuple(
            SimulatedExpert(
                seat.demand.expert,
                seat.demand.part,
                machine.wake_s(seat.demand.weights)
                if seat.state is Tier.ASLEEP
                else pace.load_s(seat.demand.weights),
                concurrency,
                seat.demand.pinned,
            )
            for seat in plan.seats
            if owners[seat.demand.expert] == device.name
        )
        homes.append(Home(device.name, device.memory, experts))
    return homes


def _owners(plan: Plan) -> dict[str, str]:
    """Return the device of every expert."""
    owners = {seat.demand.expert: seat.devices[0] for seat in plan.seats if seat.devices}
    rooms = {device.name: device.memory for device in plan.machine.devices}
    load = dict.fromkeys(rooms, 0.0)
    for seat in plan.seats:
        if seat.devices:
            load[seat.devices[0]] += 1e-3 * seat.demand.traffic
    waiting: Sequence[tuple[float, str, int]] = [
        (seat.wait_s * seat.demand.traffic, seat.demand.expert, seat.demand.part)
        for seat in plan.seats
        if not seat.devices
    ]
    for cost, expert, size in sorted(waiting, reverse=True):
        device = min((d for d in rooms if rooms[d] >= size), key=lambda d: load[d])
        owners[expert] = device
        load[device] += cost
    return owners
