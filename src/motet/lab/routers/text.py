"""A report's figures as short texts, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from motet.lab.routers.report import Judgement

_COLUMNS: dict[str, tuple[str, float, str]] = {
    "over tasks %": ("accuracy_mean_over_tasks", 100, ".1f"),
    "gain": ("gain_over_best_single", 100, "+.1f"),
    "over queries %": ("accuracy_mean_over_queries", 100, ".1f"),
    "USD/1000": ("cost_mean", 1000, ".3f"),
    "AIQ": ("aiq", 1, ".3f"),
    "cost for best %": ("cost_ratio_at_best_single", 100, ".0f"),
    "APGR": ("apgr", 1, ".3f"),
    "calibration": ("calibration_error", 100, ".1f"),
}
_TIMES = {"fit s": ("fit_seconds", ".1f"), "ms": ("decision_ms_p50", ".2f")}
_WITH_INTERVAL = ("over tasks %", "gain")


def headings(contestants: Sequence[Judgement]) -> list[str]:
    """Return the columns in which at least one contestant has a figure."""
    return [name for name in (*_COLUMNS, *_TIMES) if any(_cell(j, name) for j in contestants)]


def row(judgement: Judgement, titles: Sequence[str]) -> list[str]:
    """Return a contestant's cells."""
    return [_cell(judgement, title) for title in titles]


def _cell(judgement: Judgement, title: str) -> str:
    if title in _TIMES:
        name, form = _TIMES[title]
        seconds = getattr(judgement.timing, name)
        return "" if seconds is None else format(seconds, form)
    name, scale, form = _COLUMNS[title]
    figure = judgement.figures[name]
    if figure.value is None:
        return ""
    value = format(scale * figure.value, form)
    if title not in _WITH_INTERVAL or figure.low is None or figure.high is None:
        return value
    return f"{value} [{format(scale * figure.low, form)}, {format(scale * figure.high, form)}]"
