"""Policies of residency on random fleets, in the simulator: waits against LRU, pair by pair.

Each fleet is drawn anew: 4 to 60 experts of sizes and load times of their own, memory for a part of
them, traffic by Zipf's law in bursts, at a rate that keeps the device between idle and swamped. All
policies see the same trace. Ratios are geometric means over fleets, with 95% intervals from
resampling fleets. `worth_by_lru_order` is the service's policy with LRU's choice of whom to load,
and `lru_by_worth_order` the reverse: which half of the policy does what.

Run as `python benchmarks/swapping_fleets.py [--quick] [--json FILE] [--out]`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.progress import track
from rich.table import Table as Shown

from _common import console, finish, machine, markdown, parser, versions
from motet.planner.simulate.pace import Pace
from motet.planner.simulate.run import PolicyOutcome, SimulatedExpert, simulate
from motet.planner.simulate.trace import Trace, make_trace
from motet.residency.actions import Bounds
from motet.residency.engine import Engine
from motet.residency.policy import POLICIES, Lru, Worth


class WorthByLruOrder(Worth):
    """Who leaves as in `worth`, who comes as in `lru`."""

    def gain(self, wanted: Engine, now: float) -> float:
        """Return how long its first request has waited."""
        return Lru().gain(wanted, now)


class LruByWorthOrder(Lru):
    """Who leaves as in `lru`, who comes as in `worth`."""

    def gain(self, wanted: Engine, now: float) -> float:
        """Return the requests that a second of loading serves."""
        return Worth().gain(wanted, now)


CONTENDERS = ("worth", "worth_by_lru_order", "lru_by_worth_order", "in-order")
POLICIES.update(worth_by_lru_order=WorthByLruOrder, lru_by_worth_order=LruByWorthOrder)


def draw(
    rng: np.random.Generator, requests: int
) -> tuple[list[SimulatedExpert], Trace, Bounds, Pace]:
    """Return a fleet, its traffic, its memory and its device."""
    count = int(rng.integers(4, 61))
    sizes = np.maximum(1, rng.lognormal(np.log(100), 0.8, count)).astype(int)
    load_s = rng.uniform(1, 10) + sizes * rng.uniform(0.01, 0.1)
    places = [SimulatedExpert(f"e{n}", int(sizes[n]), float(load_s[n])) for n in range(count)]
    budget = int(max(sizes.max(), sizes.sum() * rng.uniform(0.2, 0.7)))
    burst = float(rng.uniform(1, 12))
    rate = burst / (float(load_s.mean()) * rng.uniform(0.3, 3.0))
    names = [places[n].expert for n in rng.permutation(count)]
    trace = make_trace(
        names,
        requests,
        rate=rate,
        skew=float(rng.uniform(0.5, 1.4)),
        burst=burst,
        seconds=float(rng.uniform(0.2, 2.0)),
        seed=int(rng.integers(2**31)),
    )
    pace = Pace(row_share=float(rng.uniform(0.05, 0.5)), beside_load=1.3, beside_answers=1.3)
    return places, trace, Bounds(budget, max_wait_s=120.0, max_waiting=10_000), pace


def interval(ratios: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the geometric mean of ratios and its 95% interval."""
    logs = np.log(ratios)
    means = rng.choice(logs, (4000, len(logs))).mean(axis=1)
    low, high = np.exp(np.percentile(means, [2.5, 97.5]))
    return float(np.exp(logs.mean())), float(low), float(high)


def measure(fleets: int, requests: int, seed: int) -> tuple[dict[str, float], list[list[Any]]]:
    """Play every fleet by every policy; return figures and the rows of the table."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[tuple[float, float, float, float]]] = {p: [] for p in CONTENDERS}

    def waits(outcome: PolicyOutcome) -> np.ndarray:
        loads, refused = float(outcome.loads), float((~outcome.served).mean())
        return np.array([outcome.wait_s.mean(), outcome.wait(95), loads, refused])

    for _ in track(range(fleets), "Fleets", console=console, transient=True):
        places, trace, rules, pace = draw(rng, requests)
        control = waits(simulate(places, trace, rules, "lru", pace))
        for policy in CONTENDERS:
            mine = waits(simulate(places, trace, rules, policy, pace))
            ratios = np.maximum(mine[:3], 1e-2) / np.maximum(control[:3], 1e-2)
            found[policy].append((*ratios.tolist(), float(mine[3] - control[3])))
    figures: dict[str, float] = {}
    rows: list[list[Any]] = []
    for policy, each in found.items():
        table = np.array(each)
        row: list[Any] = [policy]
        for column, name in enumerate(("mean_wait", "p95_wait", "loads")):
            middle, low, high = interval(table[:, column], rng)
            figures |= {f"{policy}_{name}_vs_lru": middle, f"{policy}_{name}_vs_lru_low": low}
            figures[f"{policy}_{name}_vs_lru_high"] = high
            row.append(f"{middle:.3f} [{low:.3f}, {high:.3f}]")
        row.append(f"{100 * table[:, 3].mean():+.2f}")
        figures[f"{policy}_better_share"] = float((table[:, 0] < 1).mean())
        rows.append([*row, f"{figures[f'{policy}_better_share']:.0%}"])
    return {name: round(value, 4) for name, value in figures.items()}, rows


def main() -> None:
    """Measure, show and write."""
    wanted = parser(__doc__)
    wanted.add_argument("--fleets", type=int, help="200, or 20 with --quick")
    wanted.add_argument("--requests", type=int, default=1500, help="of each fleet")
    arguments = wanted.parse_args()
    fleets = arguments.fleets or (20 if arguments.quick else 200)
    figures, rows = measure(fleets, arguments.requests, arguments.seed)
    head = ["policy", "mean wait / LRU", "p95 wait / LRU", "loads / LRU"]
    head += ["refused - LRU, points", "fleets better than LRU"]
    shown = Shown(*head)
    for row in rows:
        shown.add_row(*row)
    console.print(shown)
    report = {
        "figures": figures,
        "settings": {"fleets": fleets, "requests": arguments.requests, "seed": arguments.seed},
        "machine": machine(),
        "versions": versions("numpy"),
    }
    finish(arguments, "swapping-fleets", report, [markdown(head, rows)])


if __name__ == "__main__":
    main()
