"""A report: every contestant on one table with its figures, intervals and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import TYPE_CHECKING, Any

from motet.lab.routers import metrics
from motet.lab.routers.bootstrap import Figure, Resamples
from motet.lab.routers.controls import BEST_SINGLE, ORACLE, controls
from motet.lab.routers.outcome import Judge, TableOutcome
from motet.progress import Progress, silent
from motet.tables.routing import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

DRAWS = 1000


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long a router takes.

    Attributes
    ----------
    fit_seconds
        To fit once, embeddings at hand; the slowest of the folds.
    decision_ms_p50, decision_ms_p95
        To decide one query after its embedding.
    """

    fit_seconds: float | None = None
    decision_ms_p50: float | None = None
    decision_ms_p95: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    """One contestant's results.

    Attributes
    ----------
    figures
        By name, with intervals; the keys of `motet router eval --json`.
    by_task
        Mean score on each task.
    calls
        Share of the calls that each expert gets.
    curve
        Mean costs in USD and mean scores at each price of money; None without costs.
    recovered
        Shares of strong calls and the gap recovered at each; None without such a pair.
    bins
        Estimates beside scores; None where it does not estimate.
    """

    name: str
    control: bool
    figures: Mapping[str, Figure]
    by_task: Mapping[str, float]
    calls: Mapping[str, float]
    curve: tuple[Floats, Floats] | None
    recovered: tuple[Floats, Floats] | None
    bins: metrics.Bins | None
    timing: Timing = Timing()

    @property
    def beats_best_single(self) -> bool:
        """Whether its mean over tasks is above the best single expert's with 95% confidence."""
        low = self.figures["gain_over_best_single"].low
        return low is not None and low > 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """All contestants on one table.

    Attributes
    ----------
    best_single
        The expert with the best mean over tasks on this table, in hindsight.
    pair
        Strong and weak expert of PGR; None where no expert is better than another.
    singles
        Mean cost in USD (None without costs) and mean score of each expert, over queries.
    against
        Of two routers, by name: the first's accuracy, mean over tasks, less the second's.
    settings
        What is needed to repeat it.
    """

    table: str
    rows: int
    tasks: Mapping[str, int]
    experts: tuple[str, ...]
    best_single: str
    pair: tuple[str, str] | None
    singles: Mapping[str, tuple[float | None, float]]
    judgements: tuple[Judgement, ...]
    against: Mapping[tuple[str, str], Figure]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def routers(self) -> list[Judgement]:
        """Contestants that are routers, best first by mean over tasks."""
        return sorted((j for j in self.judgements if not j.control), key=accuracy, reverse=True)

    @property
    def controls(self) -> list[Judgement]:
        """Contestants that are yardsticks."""
        return [judgement for judgement in self.judgements if judgement.control]

    @property
    def names(self) -> list[str]:
        """Names of all contestants."""
        return [judgement.name for judgement in self.judgements]

    def of(self, name: str) -> Judgement:
        """Return the contestant of that name."""
        return next(judgement for judgement in self.judgements if judgement.name == name)


def accuracy(judgement: Judgement) -> float:
    """Return the mean over tasks of a contestant's accuracy."""
    return judgement.figures["accuracy_mean_over_tasks"].value or 0.0


def judge(
    table: Table,
    outcomes: Sequence[TableOutcome],
    *,
    timings: Mapping[str, Timing] | None = None,
    settings: Mapping[str, Any] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress = silent,
) -> Report:
    """Return the report of routers on a table, the controls beside them.

    Parameters
    ----------
    outcomes
        What each router would have done on every row of `table`.
    draws
        Resamples of the bootstrap.
    progress
        Told what is judged.
    """
    referee, timings = Judge(table), timings or {}
    resamples = Resamples(referee.tasks, draws, seed)
    contestants = [*outcomes, *controls(table)]
    judgements = []
    for done, outcome in enumerate(contestants):
        progress(f"judging {outcome.name}", done, len(contestants))
        timing = timings.get(outcome.name, Timing())
        judgements.append(_judgement(referee, outcome, resamples, timing))
    pair, experts = referee.pair, table.experts
    return Report(
        table=table.name,
        rows=len(table),
        tasks=dict(zip(referee.tasks.names, map(int, referee.tasks.sizes), strict=True)),
        experts=experts,
        best_single=experts[referee.best],
        pair=None if pair is None else (experts[pair.strong], experts[pair.weak]),
        singles=_singles(table),
        judgements=tuple(judgements),
        against=_against(referee, outcomes, resamples),
        settings={**(settings or {}), "bootstrap draws": draws, "confidence": 0.95, "seed": seed},
    )


def _judgement(
    referee: Judge, outcome: TableOutcome, resamples: Resamples, timing: Timing
) -> Judgement:
    import numpy as np

    table, tasks = referee.table, referee.tasks
    ones = np.ones((1, len(table)))
    recovered = None if referee.pair is None else referee.recovered(outcome, ones)
    points = outcome.points(table)
    by_task = tasks.means(outcome.scores(table))
    return Judgement(
        name=outcome.name,
        control=outcome.control,
        figures=resamples.judge(lambda weights: referee.figures(outcome, weights)),
        by_task=dict(zip(tasks.names, map(float, by_task), strict=True)),
        calls=dict(zip(table.experts, map(float, outcome.calls.mean(axis=0)), strict=True)),
        curve=None if points is None else (points[1].mean(axis=0), points[0].mean(axis=0)),
        recovered=None if recovered is None else (recovered[0][0], recovered[1][0]),
        bins=None
        if outcome.quality is None or outcome.control
        else metrics.calibration(outcome.quality, table.scores),
        timing=timing,
    )


def _singles(table: Table) -> dict[str, tuple[float | None, float]]:
    costs = [None] * len(table.experts) if table.costs is None else table.costs.mean(axis=0)
    scores = table.scores.mean(axis=0)
    return {
        expert: (None if cost is None else float(cost), float(score))
        for expert, cost, score in zip(table.experts, costs, scores, strict=True)
    }


def _against(
    referee: Judge, outcomes: Sequence[TableOutcome], resamples: Resamples
) -> dict[tuple[str, str], Figure]:
    """Return the difference of every two routers, on the same resamples."""
    import numpy as np

    if len(outcomes) < 2:
        return {}
    scores = np.stack([outcome.scores(referee.table) for outcome in outcomes], axis=1)

    def differences(weights: Floats) -> dict[str, Floats]:
        means = metrics.over_tasks(scores, referee.tasks, weights)
        places = permutations(range(len(outcomes)), 2)
        return {f"{one} {other}": means[:, one] - means[:, other] for one, other in places}

    figure = resamples.judge(differences)
    return {
        (outcomes[one].name, outcomes[other].name): figure[f"{one} {other}"]
        for one, other in permutations(range(len(outcomes)), 2)
    }


def judgement_json(judgement: Judgement) -> dict[str, Any]:
    """Return a contestant as plain JSON values.

    Each figure is a number under its own name, with `_low` and `_high` beside it, and once more
    under `intervals`.
    """
    flat: dict[str, Any] = {}
    for name, figure in judgement.figures.items():
        flat |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    timing = judgement.timing
    return {
        **flat,
        "beats_best_single": judgement.beats_best_single,
        "fit_seconds": timing.fit_seconds,
        "decision_ms_p50": timing.decision_ms_p50,
        "decision_ms_p95": timing.decision_ms_p95,
        "calls": dict(judgement.calls),
        "tasks": dict(judgement.by_task),
        "intervals": {
            name: {"low": figure.low, "high": figure.high}
            for name, figure in judgement.figures.items()
        },
    }


def table_json(report: Report) -> dict[str, Any]:
    """Return what a report says of its table and its controls, as plain JSON values."""
    best, oracle = (judgement_json(report.of(name)) for name in (BEST_SINGLE, ORACLE))
    kept = ("accuracy_mean_over_tasks", "accuracy_mean_over_queries", "cost_mean", "aiq")
    keys = [f"{name}{end}" for name in kept for end in ("", "_low", "_high")]
    return {
        "table": report.table,
        "rows": report.rows,
        "experts": list(report.experts),
        "strong": report.pair[0] if report.pair else None,
        "weak": report.pair[1] if report.pair else None,
        "best_single_expert": report.best_single,
        **{f"best_single_{key}": best[key] for key in keys},
        **{f"oracle_{key}": oracle[key] for key in keys},
        "controls": {judgement.name: judgement_json(judgement) for judgement in report.controls},
        "settings": dict(report.settings),
    }
