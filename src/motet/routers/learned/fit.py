"""A table becomes an artifact: a kind of router is fitted on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from motet.progress import Progress, silent
from motet.routers.learned.artifact import Artifact
from motet.routers.learned.base import Estimator, Queries
from motet.routers.learned.costs import CostModel
from motet.routers.learned.part import empty
from motet.routers.learned.prepare import check_parts, distinct, record, scale
from motet.routers.learned.store import EncoderRecord, ExpertRecord, Manifest
from motet.tables.routing import Table, fingerprints

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motet.encoders.encoder import Encoder

    Floats = NDArray[np.float32]


def train(
    table: Table,
    embeddings: Floats | None,
    kind: str,
    options: Mapping[str, Any] | None = None,
    encoder: Encoder | None = None,
    seed: int = 0,
    report: Progress = silent,
) -> Artifact:
    """Fit a kind of router on a table.

    Experts whose columns are equal are learned once, and columns are learned in an order that
    does not depend on theirs in the table, nor on names: permuting, renaming or doubling experts
    changes no decision.

    Parameters
    ----------
    embeddings
        `[rows, width]` of the table's queries; None for kinds that do not read them.
    kind
        A name in `ESTIMATORS`.
    options
        Hyperparameters of that kind, as in its `Config`.
    encoder
        What made the embeddings.
    seed
        The same seed gives the same artifact.

    Raises
    ------
    ConfigError
        The kind or an option is not known.
    TableError
        The table lacks what the kind needs, or the embeddings do not fit it.
    """
    estimator = empty(kind, options or {})
    check_parts(estimator, kind, table, embeddings, encoder)
    columns, unlike = distinct(table, keep_all=estimator.names_experts)
    queries = Queries(embeddings=embeddings, texts=table.queries, tasks=table.tasks)
    report(f"fitting {kind}", 0, 1)
    estimator.fit(queries, unlike, seed)
    report(f"fitting {kind}", 1, 1)
    learned_with = None
    if encoder is not None and embeddings is not None and "embeddings" in estimator.needs:
        learned_with = EncoderRecord(
            name=encoder.name, digest=encoder.digest, width=embeddings.shape[1]
        )
    manifest = _manifest(table, kind, estimator, columns, learned_with, seed)
    costs = None if table.costs is None else CostModel.fit(unlike)
    return Artifact(manifest, estimator, costs, fingerprints(table))


def _manifest(
    table: Table,
    kind: str,
    estimator: Estimator,
    columns: Sequence[int],
    encoder: EncoderRecord | None,
    seed: int,
) -> Manifest:
    """Return what an artifact says of itself; `columns` are the estimator's, by expert."""
    latencies = None if table.latencies is None else table.latencies.mean(axis=0)
    return Manifest(
        motet=version("motet"),
        kind=kind,
        version=estimator.version,
        options=estimator.options.model_dump(mode="json", by_alias=True),
        seed=seed,
        experts=[
            ExpertRecord(
                name=name,
                column=column,
                latency_s=None if latencies is None else float(latencies[number]),
            )
            for number, (name, column) in enumerate(zip(table.experts, columns, strict=True))
        ],
        encoder=encoder,
        table=record(table),
        scale=None if table.costs is None else scale(table.costs),
    )
