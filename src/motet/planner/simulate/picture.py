"""Policies side by side: how long requests waited, when, and what it took."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from motet.pictures import COLOURS, GREY, SOFT, new_figure, style, write
from motet.planner.simulate.run import PolicyOutcome
from motet.planner.simulate.trace import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {"worth": COLOURS[0], "lru": COLOURS[1], "in-order": GREY}
_BINS = 40
_POINTS = 2000
"""Of a curve: more cannot be seen."""
_ABOVE = {"textcoords": "offset points", "va": "bottom", "fontsize": 8.5, "color": SOFT}


def draw(
    outcomes: Mapping[str, PolicyOutcome], trace: Trace, max_wait_s: float, path: Path
) -> None:
    """Write a PNG or SVG, by the ending of `path`, with three panels.

    The share of requests that waited longer than so many seconds; the 95th percentile of waits as
    the trace goes on; and answers a second, loads and refusals in numbers.
    """
    with style():
        write(_drawn(outcomes, trace, max_wait_s), path)


def _drawn(outcomes: Mapping[str, PolicyOutcome], trace: Trace, max_wait_s: float) -> Figure:
    figure = new_figure(13, 4.2, layout="constrained")
    tail, course, bars = figure.subplots(1, 3, width_ratios=(1, 1.25, 0.9))
    highest = 0.0
    for policy, outcome in outcomes.items():
        look = {"color": _COLOURS[policy], "label": policy, "lw": 1.8}
        wait = np.sort(outcome.wait_s)
        share = 100 * (1 - np.arange(len(wait)) / len(wait))
        some = np.unique(np.linspace(0, len(wait) - 1, _POINTS).astype(int))
        tail.step(wait[some], share[some], where="post", **look)
        at, p95 = _course(trace, outcome)
        course.plot(at, p95, **look)
        highest = max(highest, *p95)
    tail.set(xlabel="seconds", ylabel="% of requests that waited longer", ylim=(0, 100))
    tail.set_xlim(left=0)
    tail.set_title("Waiting")
    tail.legend()
    course.set(xlabel="hours of the trace", ylabel="95th percentile of waiting, s")
    course.set_title("As the trace goes on")
    if 3 * highest > max_wait_s:  # far below the bound it would flatten the curves
        course.axhline(max_wait_s, color=SOFT, lw=1, ls=(0, (4, 3)))
        words = f"refused after {max_wait_s:g} s"
        course.annotate(words, (0, max_wait_s), (0, 3), **_ABOVE)
        highest = max(highest, max_wait_s)
    course.set_ylim(0, 1.12 * highest or 1.0)
    _bars(bars, outcomes)
    return figure


def _course(trace: Trace, outcome: PolicyOutcome) -> tuple[list[float], list[float]]:
    """Return the middle of each part of the trace, in hours, and the 95th percentile there."""
    parts = np.array_split(np.arange(len(trace)), min(_BINS, max(1, len(trace) // 20)))
    at = [float(trace.at[part].mean()) / 3600 for part in parts]
    return at, [float(np.percentile(outcome.wait_s[part], 95)) for part in parts]


def _bars(axes: Axes, outcomes: Mapping[str, PolicyOutcome]) -> None:
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
            axes.text(value / most + 0.02, y, _short(value), va="center", fontsize=8.5)
    axes.set_title("What it took")
    axes.set_yticks(range(len(measures)), list(measures))
    axes.tick_params(length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25)
    axes.set_xticks([])
    axes.grid(False)
    axes.spines["bottom"].set_visible(False)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
