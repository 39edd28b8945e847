"""Ridge regression of scores on the words and characters of a text, with no encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, PositiveFloat

from motet.config import Options
from motet.routers.learned import features
from motet.routers.learned.base import Estimate, Estimator, Need, Queries
from motet.routers.learned.folds import advantage, folds
from motet.tables.routing import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray


class WordsConfig(Options):
    """Hyperparameters of `words`."""

    alphas: tuple[PositiveFloat, ...] = Field(default=(3.0, 10.0, 30.0, 100.0), min_length=1)
    """Penalties to choose from on a held-out fifth of the queries."""


class Words(Estimator):
    """Two ridge regressions on TF-IDF n-grams, as in `ridge`: how hard, and who is better."""

    Config = WordsConfig
    options: WordsConfig
    needs: frozenset[Need] = frozenset({"texts"})

    def fit(self, queries: Queries, table: Table, seed: int) -> None:
        """Choose the penalties, then fit on all rows."""
        import numpy as np

        counted = features.counts(queries)
        rare = features.rarity(counted)
        rows = features.weighted(counted, rare)
        scores = table.scores.astype(np.float32)
        parts = [scores.mean(axis=1, keepdims=True)]
        if scores.shape[1] > 1:
            parts.append(advantage(scores))
        known, held = next(folds(table, 5, seed))
        known = known if len(known) else held  # a table of one query
        alphas = [self._penalty(rows, part, known, held) for part in parts]
        weights = np.zeros((rows.shape[1], scores.shape[1]), np.float32)
        for part, alpha in zip(parts, alphas, strict=True):
            weights += features.ridge(rows, part - part.mean(axis=0), alpha)
        base = scores.mean(axis=0)
        left = scores - (rows @ weights + base)
        self.learned = {
            "rare": rare,
            "weights": weights,
            "base": base,
            "alphas": np.array(alphas),
            "error": np.sqrt((left**2).mean(axis=0) / max(len(left), 1) ** 0.5),
        }

    def predict(self, queries: Queries) -> Estimate:
        """Return the regression's values."""
        import numpy as np

        rows = features.weighted(features.counts(queries), self.learned["rare"])
        quality = rows @ self.learned["weights"] + self.learned["base"]
        error = np.tile(self.learned["error"], (len(quality), 1))
        return Estimate(quality=quality.astype(np.float32), error=error.astype(np.float32))

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Name the penalties."""
        alphas = [float(alpha) for alpha in self.learned["alphas"]]
        return {"alphas": alphas, "reason": f"linear in its words, penalty {alphas[-1]:g}"}

    def add(self, queries: Queries, table: Table, seed: int) -> None:
        """Fit a regression of the new expert alone, on its own rows, as rare words are here."""
        import numpy as np

        rows = features.weighted(features.counts(queries), self.learned["rare"])
        scores = table.scores.astype(np.float32)
        base = scores.mean(axis=0)
        weights = features.ridge(rows, scores - base, float(self.learned["alphas"][-1]))
        left = scores - (rows @ weights + base)
        error = np.sqrt((left**2).mean(axis=0) / max(len(left), 1) ** 0.5)
        self.append(weights=weights, base=base, error=error)

    def remove(self, column: int) -> None:
        """Drop the regression of an expert."""
        self.drop(column, "weights", "base", "error")

    def _penalty(self, rows: features.Matrix, target: NDArray[Any], known: Any, held: Any) -> float:
        best, least = self.options.alphas[0], float("inf")
        if len(self.options.alphas) == 1:
            return best
        mean = target[known].mean(axis=0)
        for alpha in self.options.alphas:
            weights = features.ridge(rows[known], target[known] - mean, alpha)
            error = float(((rows[held] @ weights + mean - target[held]) ** 2).mean())
            if error < least:
                best, least = alpha, error
        return best
