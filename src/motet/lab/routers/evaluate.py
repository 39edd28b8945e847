"""One trained router, judged on a table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from motet.lab.routers.controls import one_hot
from motet.lab.routers.outcome import TableOutcome
from motet.lab.routers.report import DRAWS, Report, Timing, judge
from motet.lab.routers.sweep import sweep
from motet.progress import Progress, silent
from motet.routers.learned.artifact import Artifact
from motet.routers.learned.base import Estimate, Queries
from motet.routers.learned.decide import Terms, rank
from motet.tables.routing import Table, unseen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_TIMED = 200
"""Decisions that are timed; enough for a median and a 95th percentile."""


def queries_of(table: Table, embeddings: Floats | None) -> Queries:
    """Return the rows of a table as an estimator sees them."""
    return Queries(embeddings=embeddings, texts=table.queries, tasks=table.tasks)


def outcome_of(
    name: str, estimate: Estimate, experts: tuple[str, ...], terms: Terms | None = None
) -> TableOutcome:
    """Return what a router with these estimates does.

    Parameters
    ----------
    experts
        The columns of `estimate`.
    terms
        How it decides; by default quality alone counts.
    """
    chosen = rank(estimate, experts, terms or Terms()).chosen
    return TableOutcome(
        name=name,
        calls=one_hot(chosen, len(experts)),
        quality=estimate.quality,
        sweep=sweep(estimate, experts),
    )


def evaluate(
    artifact: Artifact,
    table: Table,
    embeddings: Floats | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress = silent,
) -> Report:
    """Return the report of a trained router on queries it has not seen.

    Parameters
    ----------
    table
        Its columns may stand in any order; experts that the artifact does not know are left out.
    embeddings
        `[rows, width]` of the table's queries; None for kinds that do not read them.

    Raises
    ------
    TableError
        The table lacks an expert of the artifact, or what the kind needs, or many of its queries
        were learned from.
    """
    unknown = [expert for expert in table.experts if expert not in artifact.experts]
    rows = unseen(table, artifact.seen, artifact.manifest.table.name)
    shared = len(table) - len(rows)
    table = table.of(artifact.experts).take(rows)
    queries = queries_of(table, None if embeddings is None else embeddings[rows])
    progress(f"asking {artifact.kind}", 0, 1)
    outcome = outcome_of(artifact.kind, artifact.estimate(queries), table.experts, artifact.terms)
    terms = artifact.terms
    settings = {
        "trained on": artifact.manifest.table.name,
        "options": artifact.manifest.options,
        "encoder": artifact.manifest.encoder.name if artifact.manifest.encoder else None,
        "lambda": terms.lam,
        "charged": terms.charged,
        "experts it does not know": unknown,
        "rows without a score, left out": table.left_out,
        "rows also learned from, left out": shared,
    }
    timings = {artifact.kind: time_decisions(artifact, queries)}
    return judge(
        table,
        [outcome],
        timings=timings,
        settings=settings,
        draws=draws,
        seed=seed,
        progress=progress,
    )


def time_decisions(
    artifact: Artifact, queries: Queries, fit_seconds: float | None = None
) -> Timing:
    """Return how long single decisions take, after the embedding."""
    import numpy as np

    rows = np.linspace(0, len(queries) - 1, min(_TIMED, len(queries))).astype(int)
    singles = [queries.take(rows[at : at + 1]) for at in range(len(rows))]
    artifact.decide(artifact.estimate(singles[0]))  # libraries load
    seconds = []
    for single in singles:
        began = time.perf_counter()
        artifact.decide(artifact.estimate(single))
        seconds.append(time.perf_counter() - began)
    p50, p95 = np.quantile(seconds, [0.5, 0.95]) * 1000
    return Timing(fit_seconds=fit_seconds, decision_ms_p50=float(p50), decision_ms_p95=float(p95))
