"""Ridge regression of scores on embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, PositiveFloat

from motet.config import Options
from motet.routers.learned.base import Estimate, Estimator, Queries
from motet.routers.learned.folds import advantage
from motet.tables.routing import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ALPHAS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


class RidgeConfig(Options):
    """Hyperparameters of `ridge`."""

    alphas: tuple[PositiveFloat, ...] = Field(default=_ALPHAS, min_length=1)
    """Penalties to choose from by leave-one-out cross-validation."""


class Ridge(Estimator):
    """One ridge regression on how hard a query is, one on who is better at it than the others.

    The two parts of a score, the mean over experts and an expert's distance from it, have very
    different amounts of signal, so each gets the penalty that cross-validation gives it: the
    first makes qualities calibrated, the second makes decisions.
    """

    Config = RidgeConfig
    options: RidgeConfig

    def fit(self, queries: Queries, table: Table, seed: int) -> None:
        """Solve both regressions by one eigendecomposition."""
        import numpy as np

        vectors = queries.vectors().astype(np.float64)
        scores = table.scores.astype(np.float64)
        mean = vectors.mean(axis=0)
        centred = vectors - mean
        values, axes = np.linalg.eigh(centred.T @ centred)
        parts = [scores.mean(axis=1, keepdims=True)]
        if scores.shape[1] > 1:  # one expert alone has no advantage
            parts.append(advantage(scores))
        turned = centred @ axes
        solved = [self._solve(turned, values.clip(0), part) for part in parts]
        weights = axes @ sum(weights for weights, _ in solved)
        base = scores.mean(axis=0)
        left = scores - (centred @ weights + base)
        self.learned = {
            "mean": mean,
            "values": values.clip(0),
            "axes": axes,
            "weights": weights,
            "base": base,
            "alphas": np.array([alpha for _, alpha in solved]),
            "noise": np.sqrt((left**2).mean(axis=0)),
        }

    def predict(self, queries: Queries) -> Estimate:
        """Return the regression's values, and their errors by each query's leverage."""
        import numpy as np

        learned = self.learned
        centred = queries.vectors().astype(np.float64) - learned["mean"]
        quality = centred @ learned["weights"] + learned["base"]
        turned = centred @ learned["axes"]
        leverage = (turned**2 / (learned["values"] + learned["alphas"][-1])).sum(axis=1)
        error = np.sqrt(leverage)[:, None] * learned["noise"]
        return Estimate(quality=quality.astype(np.float32), error=error.astype(np.float32))

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Name the penalties."""
        alphas = [float(alpha) for alpha in self.learned["alphas"]]
        return {"alphas": alphas, "reason": f"linear in the embedding, penalty {alphas[-1]:g}"}

    def add(self, queries: Queries, table: Table, seed: int) -> None:
        """Fit a regression of the new expert alone, on its own rows."""
        one = Ridge(self.options)
        one.fit(queries, table, seed)
        weights = one.learned["weights"]
        # The same function of a vector, about the mean of the vectors that are here.
        shift = (self.learned["mean"] - one.learned["mean"]) @ weights
        self.append(weights=weights, base=one.learned["base"] + shift, noise=one.learned["noise"])

    def remove(self, column: int) -> None:
        """Drop the regression of an expert."""
        self.drop(column, "weights", "base", "noise")

    def _solve(
        self, turned: NDArray[Any], values: NDArray[Any], target: NDArray[Any]
    ) -> tuple[NDArray[Any], float]:
        """Return weights and penalty of the least leave-one-out error.

        `turned` are the rows along the eigenvectors of their scatter, `values` its eigenvalues.
        """
        import numpy as np

        centred = target - target.mean(axis=0)
        products = turned.T @ centred
        best, least = (products, 1.0), np.inf
        for alpha in self.options.alphas:
            shrunk = 1 / (values + alpha)
            leverage = (turned**2 @ shrunk) + 1 / len(turned)
            weights = products * shrunk[:, None]
            held_out = (centred - turned @ weights) / (1 - leverage).clip(1e-6)[:, None]
            error = float((held_out**2).mean())
            if error < least:
                best, least = (weights, float(alpha)), error
        return best
