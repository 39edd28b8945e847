"""Policies side by side: how long requests waited, when, and what it took."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from motet.planner.simulate.run import Outcome
from motet.planner.simulate.trace import Trace

_COLOURS = {"worth": "#3b6fb6", "lru": "#d9822b", "in-order": "#8a8a8a"}
_BINS = 40


def draw(outcomes: Mapping[str, Outcome], trace: Trace, max_wait_s: float, path: Path) -> None:
    """Write a PNG or SVG, by the ending of `path`, with three panels.

    The share of requests that waited longer than so many seconds; the 95th percentile of waits as
    the trace goes on; and answers a second, loads and refusals in numbers.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    tail, course, bars = figure.subplots(1, 3, width_ratios=(1, 1.25, 0.9))
    for policy, outcome in outcomes.items():
        colour = _COLOURS[policy]
        wait = np.sort(outcome.wait_s)
        share = 100 * (1 - np.arange(len(wait)) / len(wait))
        some = np.unique(np.linspace(0, len(wait) - 1, 2000).astype(int))
        tail.step(wait[some], share[some], color=colour, label=policy, where="post")
        at, p95 = _course(trace, outcome)
        course.plot(at, p95, color=colour, label=policy)
    tail.set(xlabel="seconds", ylabel="% of requests that waited longer", ylim=(0, 100))
    tail.set_xlim(left=0)
    tail.legend(frameon=False)
    course.set(xlabel="hours of the trace", ylabel="95th percentile of waiting, s")
    course.set_ylim(bottom=0)
    course.axhline(max_wait_s, color="black", linewidth=0.8, linestyle=":")
    course.annotate("refused after", (0, max_wait_s), va="bottom", fontsize=8)
    _bars(bars, outcomes)
    for axes in (tail, course, bars):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def _course(trace: Trace, outcome: Outcome) -> tuple[list[float], list[float]]:
    """Return the middle of each part of the trace, in hours, and the 95th percentile there."""
    parts = np.array_split(np.arange(len(trace)), min(_BINS, max(1, len(trace) // 20)))
    at = [float(trace.at[part].mean()) / 3600 for part in parts]
    return at, [float(np.percentile(outcome.wait_s[part], 95)) for part in parts]


def _bars(axes: Any, outcomes: Mapping[str, Outcome]) -> None:
    """Draw what each policy did as bars, each measure in parts of its largest."""
    measures = {
        "answers a second": [o.throughput for o in outcomes.values()],
        "engine was there, %": [100 * float(o.hit.mean()) for o in outcomes.values()],
        "loads": [float(o.loads) for o in outcomes.values()],
        "refused, %": [100 * float((~o.served).mean()) for o in outcomes.values()],
    }
    height = 0.8 / len(outcomes)
    for row, values in enumerate(measures.values()):
        most = max(values) or 1.0
        for number, (policy, value) in enumerate(zip(outcomes, values, strict=True)):
            y = row + (number - (len(outcomes) - 1) / 2) * height
            axes.barh(y, value / most, height * 0.9, color=_COLOURS[policy])
            axes.text(value / most + 0.02, y, _short(value), va="center", fontsize=8)
    axes.set_yticks(range(len(measures)), list(measures))
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25)
    axes.set_xticks([])


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
