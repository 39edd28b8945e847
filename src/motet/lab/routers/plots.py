"""The figures of a report, as pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motet import files
from motet.lab.routers.controls import BEST_SINGLE, LENGTH, ORACLE, PER_TASK
from motet.lab.routers.curves import hull
from motet.lab.routers.report import Judgement, Report
from motet.pictures import COLOURS, GREY, INK, PALE, RULE, new_figure, png, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LINES = len(COLOURS)
"""Routers in a picture of curves: the best of them, since more cannot be told apart."""


def pictures(report: Report) -> dict[str, bytes]:
    """Return every picture that the report has data for, PNG by file stem."""
    made: dict[str, Callable[[Report], Figure | None]] = {
        "accuracy": accuracy,
        "cost_quality": cost_quality,
        "strong_share": strong_share,
        "tasks": tasks,
        "calibration": calibration,
        "calls": calls,
    }
    drawn = {}
    with style():
        for name, picture in made.items():
            figure = picture(report)
            if figure is not None:
                drawn[name] = png(figure)
    return drawn


def write(pictures: Mapping[str, bytes], folder: Path) -> None:
    """Write pictures to a folder, `<name>.png` each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in pictures.items():
        files.write_bytes(folder / f"{name}.png", data)


def accuracy(report: Report) -> Figure:
    """Draw the mean over tasks of everyone, with 95% intervals."""
    shown = sorted(report.judgements, key=_accuracy)
    figure, axes = _figure(7.2, 0.9 + 0.32 * len(shown))
    colours = _colours(report)
    for place, judgement in enumerate(shown):
        mean = judgement.figures["accuracy_mean_over_tasks"]
        if mean.value is None:
            continue
        colour = GREY if judgement.control else colours.get(judgement.name, INK)
        low, high = (mean.value if end is None else end for end in (mean.low, mean.high))
        axes.plot([100 * low, 100 * high], [place, place], color=colour, lw=2, alpha=0.55)
        axes.plot(100 * mean.value, place, "D" if judgement.control else "o", color=colour, ms=6)
        axes.annotate(
            f"{100 * mean.value:.1f}",
            (100 * high, place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            path_effects=_halo(),
        )
    best = report.of(BEST_SINGLE).figures["accuracy_mean_over_tasks"].value or 0
    axes.axvline(100 * best, color=INK, lw=1, ls=(0, (4, 3)), zorder=0)
    axes.set_yticks(range(len(shown)), [_label(judgement) for judgement in shown])
    axes.grid(False, axis="y")
    axes.set_xlabel("accuracy, mean over tasks (%); the dashed line is the best single expert")
    axes.set_title("Accuracy with 95% intervals")
    return figure


def cost_quality(report: Report) -> Figure | None:
    """Draw quality against cost: hulls of the routers, single experts as points."""
    import numpy as np

    if report.of(ORACLE).curve is None:
        return None
    figure, axes = _figure(8.2, 5.2)
    singles = {name: (1000 * (cost or 0), 100 * y) for name, (cost, y) in report.singles.items()}
    least, most = (end(cost for cost, _ in singles.values()) for end in (min, max))
    grid = np.geomspace(max(least, most / 1e5), most, 300)
    colours = _colours(report)
    for judgement in [*report.routers[:MOST_LINES], report.of(ORACLE)]:
        assert judgement.curve is not None
        costs, qualities = hull(*judgement.curve)
        heights = np.interp(grid, 1000 * costs, 100 * qualities)
        colour = GREY if judgement.control else colours[judgement.name]
        style = (0, (4, 3)) if judgement.control else "-"
        axes.plot(grid, heights, color=colour, ls=style, lw=2, label=judgement.name)
    axes.plot(*zip(*singles.values(), strict=True), "o", color=INK, ms=5, label="one expert alone")
    axes.set_xscale("log")
    axes.set_xlim(grid[0] / 1.3, most * (most / grid[0]) ** 0.25)
    axes.xaxis.set_major_formatter("{x:g}")
    _label_points(axes, singles)
    axes.set_xlabel("cost, USD for 1,000 answers (logarithmic)")
    axes.set_ylabel("score, mean over queries (%)")
    axes.set_title("Quality for money")
    _legend(axes)
    return figure


def strong_share(report: Report) -> Figure | None:
    """Draw the gap recovered against the share of calls to the strong expert."""
    if report.pair is None:
        return None
    figure, axes = _figure(7.2, 4.6)
    colours = _colours(report)
    lines = {judgement: (colours[judgement.name], "-") for judgement in report.routers[:MOST_LINES]}
    lines |= {control: (GREY, ":") for control in report.controls if control.name == LENGTH}
    for judgement, (colour, dashes) in lines.items():
        assert judgement.recovered is not None
        shares, recovered = (100 * part for part in judgement.recovered)
        apgr = judgement.figures["apgr"].value or 0.0
        name = "by length" if judgement.control else judgement.name
        label = f"{name}, APGR {apgr:.3f}"
        axes.plot(shares, recovered, color=colour, ls=dashes, lw=2, label=label)
    axes.plot([0, 100], [0, 100], color=GREY, ls=(0, (4, 3)), label="random, APGR 0.500")
    for percent in (50, 80):
        axes.axhline(percent, color=GREY, lw=0.8, ls=":", zorder=0)
        axes.text(99, percent + 1, f"CPT({percent})", ha="right", fontsize=8.5, color=GREY)
    strong, weak = (_short(name) for name in report.pair)
    axes.set_xlabel(f"share of calls to {strong} (%)")
    axes.set_ylabel("performance gap recovered (%)")
    axes.set_title(f"{weak} helped by {strong}")
    axes.set_xlim(0, 100)
    _legend(axes)
    return figure


def tasks(report: Report) -> Figure | None:
    """Draw each task's accuracy less the best single expert's, router by router."""
    if len(report.tasks) < 2:
        return None
    import numpy as np

    names = sorted(report.tasks, key=lambda task: -report.tasks[task])[:30]
    base = report.of(BEST_SINGLE).by_task
    per_task = report.of(PER_TASK)
    rows = [*report.routers, per_task]
    gains = 100 * np.array([[row.by_task[t] - base[t] for t in names] for row in rows])
    bound = max(5.0, float(np.abs(gains).max()))
    figure, axes = _figure(2.6 + 0.5 * len(names), 2.2 + 0.3 * len(rows))
    axes.imshow(gains, cmap="PuOr_r", vmin=-bound, vmax=bound, aspect="auto")
    for row, column in np.ndindex(gains.shape):
        gain = float(gains[row, column])
        colour = "white" if abs(gain) > 0.65 * bound else INK
        text = f"{gain:+.0f}" if round(gain) else "0"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(
        range(len(names)), [_short(name) for name in names], rotation=40, ha="right", fontsize=9
    )
    axes.set_yticks(range(len(rows)), [_label(row) for row in rows])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    which = "" if len(names) == len(report.tasks) else f", the {len(names)} largest tasks"
    axes.set_title(f"Points above or below {_short(report.best_single)}{which}")
    return figure


def calibration(report: Report) -> Figure | None:
    """Draw mean scores against mean estimates, in bins of equally many estimates."""
    shown = [judgement for judgement in report.routers[:MOST_LINES] if judgement.bins is not None]
    if not shown:
        return None
    figure, axes = _figure(5.4, 5.0)
    colours = _colours(report)
    axes.plot([0, 100], [0, 100], color=GREY, ls=(0, (4, 3)), label="as estimated")
    for judgement, mark in zip(shown, "osD^vP", strict=False):
        assert judgement.bins is not None
        error = judgement.figures["calibration_error"].value or 0.0
        axes.plot(
            _percent(judgement.bins.estimated),
            _percent(judgement.bins.observed),
            marker=mark,
            ms=5,
            lw=1.5,
            color=colours[judgement.name],
            label=f"{judgement.name}, error {100 * error:.1f}",
        )
    axes.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
    axes.set_xlabel("estimated score (%)")
    axes.set_ylabel("mean score (%)")
    axes.set_title("Estimates and what came true")
    _legend(axes)
    return figure


def calls(report: Report) -> Figure:
    """Draw whom the routers call, as bars of shares."""
    shown = [*report.routers, report.of(PER_TASK)][::-1]
    by_share = sorted(
        report.experts, key=lambda expert: -sum(judgement.calls[expert] for judgement in shown)
    )
    named = by_share[: len(PALE)]
    figure, axes = _figure(8.2, 1.3 + 0.32 * len(shown))
    for place, judgement in enumerate(shown):
        left = 0.0
        for expert, colour in zip(named, PALE, strict=False):
            share = 100 * judgement.calls[expert]
            label = _short(expert) if place == 0 else None
            axes.barh(place, share, left=left, color=colour, height=0.72, label=label)
            if share >= 8:
                axes.text(
                    left + share / 2,
                    place,
                    f"{share:.0f}",
                    ha="center",
                    va="center",
                    color=INK,
                    fontsize=8.5,
                )
            left += share
        others = "all others" if place == 0 and len(by_share) > len(named) else None
        axes.barh(place, max(0.0, 100 - left), left=left, color=RULE, height=0.72, label=others)
    axes.set_yticks(range(len(shown)), [_label(judgement) for judgement in shown])
    axes.set_xlim(0, 100)
    axes.grid(False)
    axes.set_xlabel("share of calls (%)")
    axes.set_title("Who is called")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=9)
    return figure


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = new_figure(width, height)
    return figure, figure.subplots()


def _accuracy(judgement: Judgement) -> float:
    return judgement.figures["accuracy_mean_over_tasks"].value or 0.0


def _colours(report: Report) -> dict[str, str]:
    """Return the colours of the best routers; the rest are drawn in ink."""
    return {j.name: colour for j, colour in zip(report.routers, COLOURS, strict=False)}


def _label(judgement: Judgement) -> str:
    return f"{judgement.name} (control)" if judgement.control else judgement.name


def _short(expert: str) -> str:
    """Return an expert's name without its owner, and not too long."""
    name = expert.rsplit("/", 1)[-1].rsplit("__", 1)[-1].removesuffix("-details")
    return name if len(name) <= 26 else f"{name[:25]}…"


def _percent(values: Any) -> Any:
    import numpy as np

    return 100 * np.asarray(values)


def _legend(axes: Axes) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=9)


def _halo() -> list[Any]:
    """Return what keeps text readable where it crosses a line."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2.5, foreground="white")]


def _label_points(axes: Axes, points: Mapping[str, tuple[float, float]]) -> None:
    """Write each point's name beside it; a name that would cover another's is moved down."""
    import math

    taken: list[tuple[float, float]] = []
    for name, (x, y) in sorted(points.items(), key=lambda item: -item[1][1]):
        place = y
        while any(abs(place - b) < 1.6 and abs(math.log10(x / a)) < 0.35 for a, b in taken):
            place -= 0.4
        taken.append((x, place))
        axes.annotate(
            _short(name),
            (x, y),
            xytext=(x * 1.06, place),
            textcoords="data",
            fontsize=8,
            va="center",
            color=INK,
            path_effects=_halo(),
        )
