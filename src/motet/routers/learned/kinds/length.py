"""Prompt length alone: the control for routing between a strong and a weak expert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from motet.routers.learned.base import Estimate, Estimator, Need, Queries
from motet.tables.routing import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Length(Estimator):
    """Expects of each expert a score that is linear in the logarithm of the prompt's length."""

    needs: frozenset[Need] = frozenset({"texts"})

    def fit(self, queries: Queries, table: Table, seed: int) -> None:
        """Fit a line for each expert."""
        import numpy as np

        length = _logarithm(queries)
        scores = table.scores.astype(np.float64)
        centred = length - length.mean()
        slope = centred @ scores / max(float(centred @ centred), 1e-9)
        base = scores.mean(axis=0) - slope * length.mean()
        left = scores - (length[:, None] * slope + base)
        self.learned = {
            "slope": slope,
            "base": base,
            "error": np.sqrt((left**2).mean(axis=0) / len(length)),
        }

    def predict(self, queries: Queries) -> Estimate:
        """Return the value of each line."""
        import numpy as np

        length = _logarithm(queries)
        quality = length[:, None] * self.learned["slope"] + self.learned["base"]
        error = np.tile(self.learned["error"], (len(length), 1))
        return Estimate(quality=quality.astype(np.float32), error=error.astype(np.float32))

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Say how long the prompt is."""
        characters = len((queries.texts or ("",))[0])
        return {"characters": characters, "reason": f"a prompt of {characters} characters"}

    def add(self, queries: Queries, table: Table, seed: int) -> None:
        """Fit a line for the new expert."""
        one = Length(self.options)
        one.fit(queries, table, seed)
        self.append(**one.learned)

    def remove(self, column: int) -> None:
        """Drop a line."""
        self.drop(column, "slope", "base", "error")


def _logarithm(queries: Queries) -> NDArray[Any]:
    import numpy as np

    return np.log1p([len(text) for text in queries.texts or ()])
