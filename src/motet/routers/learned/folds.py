"""Cross-validation that every kind shares: which rows are held out together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motet.tables.routing import Table

    Rows = NDArray[Any]


def folds(table: Table, count: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield `count` pairs of (rows to learn from, rows held out); each row is held out once.

    Rows with the same query are held out together. Fewer folds where there are fewer queries.
    """
    import numpy as np

    names = table.queries or tuple(str(row) for row in range(len(table)))
    _, group = np.unique(np.array(names, dtype=object), return_inverse=True)
    groups = int(group.max()) + 1
    fold = np.random.default_rng(seed).permutation(groups) % min(count, groups)
    fold_of_row = fold[group]
    for number in range(min(count, groups)):
        held = fold_of_row == number
        yield np.flatnonzero(~held), np.flatnonzero(held)


def advantage(scores: Rows) -> Rows:
    """Return `[rows, experts]` of how much better each expert did than the row's mean.

    Decisions depend on this part alone; how hard a query is for all changes none of them. It
    holds less signal, so hyperparameters chosen by it are more cautious.
    """
    centred: Rows = scores - scores.mean(axis=1, keepdims=True)
    return centred
