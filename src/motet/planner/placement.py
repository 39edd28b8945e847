"""Which experts are resident, and where: a mixed integer linear program.

Chooses binaries x[e, d] (a part of expert e lies on device d), r[e] (e is resident) and s[e] (e
sleeps in the host's memory) to minimise the expected wait of a request,

    sum over e of traffic[e] * (wake[e] * s[e] + load[e] * (1 - r[e] - s[e])),

so that no device and no host holds more than it has. A second program keeps those residents and
levels the traffic of the devices. Both are solved by HiGHS to optimality, or until time is over
with the gap that is left (Huangfu and Hall, 2018, doi:10.1007/s12532-017-0130-5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motet.planner.demand import Demand
from motet.planner.devices import Machine
from motet.planner.first_fit import Homes, first_fit
from motet.units import MIB

Floats = NDArray[np.float64]
_LEVELLING_S = 0.8


@dataclass(frozen=True, slots=True)
class Placement:
    """Who is resident where, and who sleeps.

    Attributes
    ----------
    wait_s
        Expected seconds that a request waits for its expert.
    gap
        How far, as a share, `wait_s` may lie above the best possible; 0 when proven the best.
    first_fit_wait_s
        The same wait by first-fit decreasing; None where its pinned experts do not fit.
    """

    homes: Homes
    asleep: frozenset[str]
    wait_s: float
    gap: float
    first_fit_wait_s: float | None = None


def place(demands: Sequence[Demand], machine: Machine, seconds: float = 2.5) -> Placement | None:
    """Return the best placement found within `seconds`; None when the pinned do not fit.

    It is never worse than first-fit decreasing: when time was too short to beat it, that is the
    answer, with the gap to the bound.
    """
    greedy = _greedy(demands, machine)
    solved = _solve(demands, machine, seconds)
    if solved is None:
        return greedy
    if greedy is None:
        return replace(solved, homes=_level(demands, machine, solved.homes))
    if greedy.wait_s < solved.wait_s - 1e-12:
        return replace(greedy, gap=_gap(greedy.wait_s, solved.wait_s * (1 - solved.gap)))
    homes = _level(demands, machine, solved.homes)
    return replace(solved, homes=homes, first_fit_wait_s=greedy.wait_s)


def expected_wait(
    demands: Sequence[Demand], machine: Machine, resident: Homes, asleep: frozenset[str]
) -> float:
    """Return the expected seconds that a request waits for its expert to be there."""
    return sum(
        d.traffic * (machine.wake_s(d.weights) if d.expert in asleep else machine.load_s(d.weights))
        for d in demands
        if d.expert not in resident
    )


def _greedy(demands: Sequence[Demand], machine: Machine) -> Placement | None:
    homes = first_fit(demands, machine)
    if any(d.pinned and d.expert not in homes for d in demands):
        return None
    asleep, left = set(), machine.host
    for d in sorted(demands, key=lambda d: -d.traffic):
        if d.expert not in homes and d.weights <= left:
            asleep.add(d.expert)
            left -= d.weights
    sleeping = frozenset(asleep)
    wait = expected_wait(demands, machine, homes, sleeping)
    return Placement(homes, sleeping, wait, gap=1.0, first_fit_wait_s=wait)


def _solve(demands: Sequence[Demand], machine: Machine, seconds: float) -> Placement | None:
    """Return the program's solution; None when it has none or found none in time."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    experts, devices = len(demands), len(machine.devices)
    part = np.array([d.part for d in demands], float) / MIB
    weights = np.array([d.weights for d in demands], float) / MIB
    traffic = np.array([d.traffic for d in demands])
    wake = np.array([machine.wake_s(d.weights) for d in demands])
    load = np.array([machine.load_s(d.weights) for d in demands])
    pairs = experts * devices
    # Variables: x row by row, then r, then s.
    cost = np.concatenate([np.zeros(pairs), -traffic * load, -traffic * (load - wake)])
    rows: list[Floats] = []
    low: list[float] = []
    high: list[float] = []

    def bound(row: Floats, least: float, most: float) -> None:
        rows.append(row)
        low.append(least)
        high.append(most)

    size = pairs + 2 * experts
    for number, device in enumerate(machine.devices):
        row = np.zeros(size)
        row[number:pairs:devices] = part
        bound(row, 0, device.memory / MIB)
    for number, demand in enumerate(demands):
        row = np.zeros(size)
        row[number * devices : (number + 1) * devices] = 1
        row[pairs + number] = -demand.parts
        bound(row, 0, 0)
        row = np.zeros(size)
        row[[pairs + number, pairs + experts + number]] = 1
        bound(row, 1.0 if demand.pinned else 0.0, 1)
    row = np.zeros(size)
    row[pairs + experts :] = weights
    bound(row, 0, machine.host / MIB)
    highest = np.ones(size)
    highest[pairs + experts :] = [0.0 if d.pinned else 1.0 for d in demands]
    solved = milp(
        cost,
        integrality=np.ones(size),
        bounds=Bounds(0, highest),
        constraints=LinearConstraint(np.array(rows), low, high),
        options={"time_limit": seconds, "mip_rel_gap": 0.0},
    )
    if solved.x is None:
        return None
    chosen = solved.x.round().astype(bool)
    homes = {
        d.expert: tuple(np.flatnonzero(chosen[n * devices : (n + 1) * devices]).tolist())
        for n, d in enumerate(demands)
        if chosen[pairs + n]
    }
    asleep = frozenset(d.expert for n, d in enumerate(demands) if chosen[pairs + experts + n])
    wait = expected_wait(demands, machine, homes, asleep)
    bound_s = float(traffic @ load) + float(solved.mip_dual_bound)
    return Placement(homes, asleep, wait, _gap(wait, bound_s))


def _gap(value: float, bound: float) -> float:
    return 0.0 if value - bound < 1e-9 else (value - bound) / value


def _level(demands: Sequence[Demand], machine: Machine, homes: Homes) -> Homes:
    """Return the same residents on devices whose traffic is as level as time allows."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    residents = [d for d in demands if d.expert in homes]
    devices = len(machine.devices)
    if devices < 2 or not residents:
        return homes
    pairs = len(residents) * devices
    size = pairs + 1  # and the traffic of the busiest device
    rows: list[Any] = []
    low: list[float] = []
    high: list[float] = []
    for number, device in enumerate(machine.devices):
        row = np.zeros(size)
        row[number:pairs:devices] = [d.part / MIB for d in residents]
        rows.append(row)
        low.append(0)
        high.append(device.memory / MIB)
        row = np.zeros(size)
        row[number:pairs:devices] = [d.traffic / d.parts for d in residents]
        row[-1] = -1
        rows.append(row)
        low.append(-np.inf)
        high.append(0)
    for number, demand in enumerate(residents):
        row = np.zeros(size)
        row[number * devices : (number + 1) * devices] = 1
        rows.append(row)
        low.append(demand.parts)
        high.append(demand.parts)
    cost = np.zeros(size)
    cost[-1] = 1
    solved = milp(
        cost,
        integrality=np.concatenate([np.ones(pairs), [0]]),
        bounds=Bounds(0, np.concatenate([np.ones(pairs), [np.inf]])),
        constraints=LinearConstraint(np.array(rows), low, high),
        options={"time_limit": _LEVELLING_S, "mip_rel_gap": 0.01},
    )
    if solved.x is None or _busiest(residents, homes, devices) <= solved.x[-1]:
        return homes
    chosen = solved.x[:pairs].round().astype(bool).reshape(len(residents), devices)
    return {d.expert: tuple(np.flatnonzero(chosen[n]).tolist()) for n, d in enumerate(residents)}


def _busiest(residents: Sequence[Demand], homes: Homes, devices: int) -> float:
    traffic = [0.0] * devices
    for demand in residents:
        for number in homes[demand.expert]:
            traffic[number] += demand.traffic / demand.parts
    return max(traffic)
