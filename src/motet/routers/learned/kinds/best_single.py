"""The best single expert on the table: the control that every report prints."""

from __future__ import annotations

from typing import Any

from motet.routers.learned.base import Estimate, Estimator, Need, Queries
from motet.tables.routing import Table


class BestSingle(Estimator):
    """Expects of each expert its mean over tasks, whatever is asked."""

    needs: frozenset[Need] = frozenset()

    def fit(self, queries: Queries, table: Table, seed: int) -> None:
        """Take the mean over tasks of each expert's mean score, so that no task outweighs."""
        import numpy as np

        tasks, task_of_row = np.unique(np.array(table.tasks), return_inverse=True)
        scores = table.scores.astype(np.float64)
        sums, squares = np.zeros((2, len(tasks), len(table.experts)))
        np.add.at(sums, task_of_row, scores)
        np.add.at(squares, task_of_row, scores**2)
        counts = np.bincount(task_of_row)[:, None]
        # Of a mean over tasks, each of which varies with its own rows.
        variance = (squares / counts - (sums / counts) ** 2).clip(0) / counts
        self.learned = {
            "quality": (sums / counts).mean(axis=0).astype(np.float32),
            "error": (np.sqrt(variance.sum(axis=0)) / len(tasks)).astype(np.float32),
        }

    def predict(self, queries: Queries) -> Estimate:
        """Return the same for every query."""
        import numpy as np

        rows = (len(queries), 1)
        return Estimate(
            quality=np.tile(self.learned["quality"], rows),
            error=np.tile(self.learned["error"], rows),
        )

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Say that the query does not matter."""
        return {"reason": "the best mean over the table's tasks"}

    def add(self, queries: Queries, table: Table, seed: int) -> None:
        """Append the mean of the new expert."""
        one = BestSingle(self.options)
        one.fit(queries, table, seed)
        self.append(**one.learned)

    def remove(self, column: int) -> None:
        """Drop the mean of an expert."""
        self.drop(column, "quality", "error")
