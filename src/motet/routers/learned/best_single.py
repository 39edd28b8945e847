"""The best single expert on the table: the control that every report prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from motet.routers.learned.base import Estimate, Estimator, Need, Queries
from motet.routers.tables import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray


class BestSingle(Estimator):
    """Expects of each expert its mean over tasks, whatever is asked."""

    needs: frozenset[Need] = frozenset()

    def fit(self, queries: Queries, table: Table, seed: int) -> None:
        """Take the mean over tasks of each expert's mean score, so that no task outweighs."""
        import numpy as np

        tasks, task_of_row = np.unique(np.array(table.tasks), return_inverse=True)
        sums = np.zeros((len(tasks), len(table.experts)))
        np.add.at(sums, task_of_row, table.scores)
        counts = np.bincount(task_of_row)[:, None]
        # Variance of the mean over tasks: each task's own mean varies with its rows.
        squares = np.zeros_like(sums)
        np.add.at(squares, task_of_row, table.scores.astype(float) ** 2)
        variance = (squares / counts - (sums / counts) ** 2).clip(0) / counts
        self._quality = (sums / counts).mean(axis=0).astype(np.float32)
        self._error = (np.sqrt(variance.sum(axis=0)) / len(tasks)).astype(np.float32)

    def predict(self, queries: Queries) -> Estimate:
        """Return the same for every query."""
        import numpy as np

        rows = (len(queries), 1)
        return Estimate(quality=np.tile(self._quality, rows), error=np.tile(self._error, rows))

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return means and their errors."""
        return {"quality": self._quality, "error": self._error}

    def restore(self, state: Mapping[str, NDArray[Any]], experts: tuple[str, ...]) -> None:
        """Take over means and their errors."""
        self._quality, self._error = state["quality"], state["error"]

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Say that the query does not matter."""
        return {"reason": "the best mean over the table's tasks"}

    def add(self, queries: Queries, table: Table, seed: int) -> None:
        """Append the mean of the new expert."""
        import numpy as np

        one = BestSingle(self.options)
        one.fit(queries, table, seed)
        self._quality = np.append(self._quality, one._quality)
        self._error = np.append(self._error, one._error)

    def remove(self, column: int) -> None:
        """Drop the mean of an expert."""
        import numpy as np

        self._quality = np.delete(self._quality, column)
        self._error = np.delete(self._error, column)
