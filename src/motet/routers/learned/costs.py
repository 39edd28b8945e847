"""What an answer will cost, for every kind that does not estimate it itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motet.tables.routing import Table

    Floats = NDArray[np.float32]


class CostModel:
    """A price for the answer and one a character of the prompt, both by expert.

    Least squares on the table's costs, neither price below zero: what tokens cost, seen through
    a table that holds no tokens.

    Parameters
    ----------
    mean, base, slope
        `[experts]` USD: the mean cost, the cost of an empty prompt, the cost of a character.
    """

    def __init__(self, mean: Floats, base: Floats, slope: Floats) -> None:
        self._mean, self._base, self._slope = mean, base, slope

    @classmethod
    def fit(cls, table: Table) -> CostModel:
        """Learn from a table that has costs."""
        import numpy as np

        costs = np.asarray(table.costs, np.float64)
        mean = costs.mean(axis=0)
        base, slope = mean, np.zeros_like(mean)
        if table.queries is not None:
            length = np.array([len(query) for query in table.queries], np.float64)
            centred = length - length.mean()
            slope = (centred @ costs / max(centred @ centred, 1e-9)).clip(0)
            slope = np.minimum(slope, mean / max(length.mean(), 1e-9))
            base = mean - slope * length.mean()
        return cls(*(part.astype(np.float32) for part in (mean, base, slope)))

    def predict(self, texts: Sequence[str] | None, queries: int) -> Floats:
        """Return `[queries, experts]` expected USD; the mean where there is no text."""
        import numpy as np

        if texts is None:
            return np.tile(self._mean, (queries, 1))
        length = np.array([len(text) for text in texts], np.float32)
        return self._base + length[:, None] * self._slope

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the three arrays by name."""
        return {"mean": self._mean, "base": self._base, "slope": self._slope}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]]) -> CostModel:
        """Return the model whose `state` this is."""
        return cls(state["mean"], state["base"], state["slope"])

    def add(self, other: CostModel) -> CostModel:
        """Return a model of the experts of both."""
        import numpy as np

        parts = zip(self.state().values(), other.state().values(), strict=True)
        return CostModel(*(np.concatenate(pair) for pair in parts))

    def remove(self, column: int) -> CostModel:
        """Return a model without the expert of `column`."""
        import numpy as np

        return CostModel(*(np.delete(part, column) for part in self.state().values()))
