"""First-fit decreasing: the control that a better plan is measured against."""

from __future__ import annotations

from collections.abc import Sequence

from motet.planner.demand import Demand
from motet.planner.devices import Machine

Homes = dict[str, tuple[int, ...]]
"""Expert -> the numbers of its devices; experts that are not resident are absent."""


def first_fit(demands: Sequence[Demand], machine: Machine) -> Homes:
    """Return residents by first-fit decreasing: pinned ones, then by traffic for their bytes.

    A plain greedy rule orders by size alone; ordering by the waiting that a byte saves makes the
    control as strong as a greedy rule can be here.
    """
    free = [device.memory for device in machine.devices]
    homes: Homes = {}

    def worth(demand: Demand) -> float:
        return demand.traffic * machine.load_s(demand.weights) / max(1, demand.size)

    for demand in sorted(demands, key=lambda d: (not d.pinned, -worth(d), -d.size, d.expert)):
        fitting = [n for n, left in enumerate(free) if left >= demand.part][: demand.parts]
        if len(fitting) == demand.parts:
            homes[demand.expert] = tuple(fitting)
            for number in fitting:
                free[number] -= demand.part
    return homes
