"""From a table to what estimators learn from, and what artifacts remember of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from motet.errors import TableError
from motet.routers.learned.base import Estimator
from motet.routers.learned.store import TableRecord
from motet.tables.routing import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motet.encoders.encoder import Encoder

    Floats = NDArray[np.float32]


def check_parts(
    estimator: Estimator,
    kind: str,
    table: Table,
    embeddings: Floats | None,
    encoder: Encoder | None,
) -> None:
    """Raise `TableError` where a table or its embeddings lack what an estimator needs."""
    import numpy as np

    if "texts" in estimator.needs and table.queries is None:
        raise TableError(f"{kind!r} reads texts, and {table.name} has no 'query' column.")
    if "embeddings" in estimator.needs and (embeddings is None or encoder is None):
        raise TableError(
            f"{kind!r} reads embeddings, and there are none of {table.name}.",
            hint="The table needs a 'query' column; 'categories' works on tasks alone."
            if table.queries is None
            else "",
        )
    if embeddings is not None:
        if embeddings.ndim != 2 or len(embeddings) != len(table):
            raise TableError(
                f"{len(table)} rows of {table.name} do not fit embeddings {embeddings.shape}."
            )
        if not np.isfinite(embeddings).all():
            raise TableError(f"The embeddings of {table.name} hold values that are not finite.")


def distinct(table: Table, *, keep_all: bool) -> tuple[list[int], Table]:
    """Return each expert's column among the distinct ones, and the table of those.

    Columns are in the order of their content, so that nothing learned depends on the order or
    names of experts.
    """

    def content(column: int) -> str:
        state = hashlib.sha256()
        for part in (table.scores, table.costs, table.latencies):
            if part is not None:
                state.update(part[:, column].tobytes())
        if keep_all:
            state.update(table.experts[column].encode())
        return state.hexdigest()

    digests = [content(column) for column in range(len(table.experts))]
    order = sorted(set(digests))
    firsts = [table.experts[digests.index(one)] for one in order]
    return [order.index(one) for one in digests], table.of(firsts)


def scale(costs: Floats) -> float:
    """Return the mean cost of the dearest expert, in USD; 1 when everything is free."""
    return float(costs.mean(axis=0).max()) or 1.0


def record(table: Table) -> TableRecord:
    """Return what an artifact remembers of a table."""
    return TableRecord(name=table.name, digest=table.digest, rows=len(table))
