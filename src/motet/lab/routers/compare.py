"""Kinds of routers side by side: fitted on one table and judged on another, or cross-validated."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from motet.errors import TableError
from motet.lab.routers.data import Data
from motet.lab.routers.evaluate import outcome_of, queries_of, time_decisions
from motet.lab.routers.metrics import Tasks
from motet.lab.routers.outcome import TableOutcome
from motet.lab.routers.report import DRAWS, Report, Timing, judge
from motet.progress import Progress, silent
from motet.routers.learned.base import Estimate
from motet.routers.learned.fit import train
from motet.tables.routing import Table, fingerprints, plain, unseen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.integer]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What to compare, and how.

    Attributes
    ----------
    kinds
        Kinds of routers with their options.
    folds
        Of the cross-validation, where no table is kept aside to test on.
    left_out
        Kinds that cannot take part, with the reason; for the report.
    all
        Whether kinds that turn out to lack something in the table are left out too, in place of
        an error.
    draws
        Resamples of the bootstrap.
    """

    kinds: Mapping[str, Mapping[str, Any]]
    folds: int = 5
    draws: int = DRAWS
    seed: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)
    all: bool = False


def folds(table: Table, count: int, seed: int = 0) -> Ints:
    """Return the fold of each row, `[rows]`: every task is spread over all of them.

    Rows that ask the same go to one fold: a router must not be judged on what it has seen.

    Raises
    ------
    TableError
        There are fewer questions than folds.
    """
    import numpy as np

    asked = range(len(table)) if table.queries is None else map(plain, table.queries)
    _, first, question = np.unique(
        np.array(list(asked), dtype=object).astype(str), return_index=True, return_inverse=True
    )
    if len(first) < count:
        raise TableError(
            f"{table.name}: {count} folds need as many questions; it has {len(first)}."
        )
    random = np.random.default_rng(seed)
    task = Tasks.read(table.tasks).of[first]
    # Dealt in an order that is random within each task, one fold after the other.
    order = np.lexsort((random.random(len(first)), task))
    fold_of_question = np.empty(len(first), dtype=int)
    fold_of_question[order] = np.arange(len(first)) % count
    return np.asarray(fold_of_question[question])


def cross_validate(
    data: Data,
    kind: str,
    options: Mapping[str, Any],
    *,
    count: int = 5,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[Estimate, Timing]:
    """Return estimates of every row by a router that was fitted without its fold.

    Returns
    -------
    tuple
        Estimates, `[rows, experts]` in the table's order of experts, and times.
    """
    import numpy as np

    fold_of_row = folds(data.table, count, seed)
    parts: list[tuple[Ints, Estimate]] = []
    timings = []
    for fold in range(count):
        progress(f"{kind}: fold {fold + 1} of {count}", fold, count)
        test_rows = np.flatnonzero(fold_of_row == fold)
        estimate, timing = _fit_and_ask(
            data.take(np.flatnonzero(fold_of_row != fold)),
            data.take(test_rows),
            kind,
            options,
            seed,
        )
        parts.append((test_rows, estimate))
        timings.append(timing)
    return _together(parts, len(data.table)), _slowest(timings)


def compare(
    data: Data,
    comparison: Comparison,
    test: Data | None = None,
    progress: Progress = silent,
    others: Sequence[tuple[TableOutcome, Timing]] = (),
) -> Report:
    """Return the report of kinds of routers, with the controls beside them.

    Parameters
    ----------
    data
        What they learn from; where `test` is None they are cross-validated on it.
    test
        What they are judged on.
    others
        Contestants from elsewhere on the same rows, with their times.

    Raises
    ------
    TableError
        Many queries of `test` are also in `data`, or it lacks an expert.
    """
    shared = 0
    if test is not None:
        rows = unseen(test.table, fingerprints(data.table), data.table.name)
        shared = len(test.table) - len(rows)
        test = replace(test, table=test.table.of(data.table.experts)).take(rows)
    outcomes, timings, left_out = [], {}, dict(comparison.left_out)
    for done, (kind, options) in enumerate(comparison.kinds.items()):
        report = _inside(progress, done, len(comparison.kinds))
        try:
            estimate, timing = _estimates(data, test, kind, options, comparison, report)
        except TableError as error:
            if not comparison.all:
                raise
            left_out[kind] = str(error)
            continue
        outcomes.append(outcome_of(kind, estimate, data.table.experts))
        timings[kind] = timing
    for outcome, timing in others:
        outcomes.append(outcome)
        timings[outcome.name] = timing
    settings = {
        **_settings(data, test, comparison),
        "rows also learned from, left out": shared,
        "kinds left out": left_out,
    }
    return judge(
        (test or data).table,
        outcomes,
        timings=timings,
        settings=settings,
        draws=comparison.draws,
        seed=comparison.seed,
        progress=progress,
    )


def _settings(data: Data, test: Data | None, comparison: Comparison) -> dict[str, Any]:
    """Return what a reader of the report should know of how it came about."""
    how = f"{comparison.folds}-fold cross-validation on {data.table.name}, stratified by task"
    kinds = comparison.kinds.items()
    return {
        "method": how if test is None else f"fitted on {data.table.name}",
        "rows learned from": len(data.table),
        "rows without a score, left out": (test or data).table.left_out,
        "encoder": data.encoder.name if data.encoder else None,
        "options": {kind: dict(options) for kind, options in kinds if options},
    }


def _estimates(
    data: Data,
    test: Data | None,
    kind: str,
    options: Mapping[str, Any],
    comparison: Comparison,
    report: Progress,
) -> tuple[Estimate, Timing]:
    """Return a kind's estimates of the rows that are judged."""
    if test is None:
        return cross_validate(
            data, kind, options, count=comparison.folds, seed=comparison.seed, progress=report
        )
    report(f"{kind}: fitting", 0, 1)
    return _fit_and_ask(data, test, kind, options, comparison.seed)


def _fit_and_ask(
    data: Data, test: Data, kind: str, options: Mapping[str, Any], seed: int
) -> tuple[Estimate, Timing]:
    """Return the estimates of a router fitted on `data` for the rows of `test`."""
    began = time.perf_counter()
    artifact = train(data.table, data.embeddings, kind, options, data.encoder, seed=seed)
    seconds = time.perf_counter() - began
    queries = queries_of(test.table, test.embeddings)
    return artifact.estimate(queries), time_decisions(artifact, queries, seconds)


def _together(parts: list[tuple[Ints, Estimate]], rows: int) -> Estimate:
    """Return the estimates of folds as those of one table."""
    import numpy as np

    order = np.argsort(np.concatenate([where for where, _ in parts]))
    assert len(order) == rows
    estimates = [estimate for _, estimate in parts]

    def joined(name: str) -> Any:
        return np.concatenate([getattr(estimate, name) for estimate in estimates])[order]

    return Estimate(
        quality=joined("quality"),
        error=joined("error"),
        cost=None if estimates[0].cost is None else joined("cost"),
    )


def _slowest(timings: list[Timing]) -> Timing:
    def most(name: str) -> float:
        return float(max(getattr(timing, name) for timing in timings))

    return Timing(**{name: most(name) for name in Timing.__dataclass_fields__})


def _inside(progress: Progress, done: int, total: int) -> Progress:
    """Return a report of one of `total` equal parts of some work."""

    def report(stage: str, part: float, whole: float) -> None:
        progress(stage, done + (part / whole if whole else 0), total)

    return report
