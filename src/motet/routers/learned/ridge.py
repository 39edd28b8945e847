"""Ridge regression of scores on embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, PositiveFloat

from motet.config import Options
from motet.routers.learned.base import Estimate, Estimator, Queries
from motet.routers.learned.folds import advantage
from motet.routers.tables import Table

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
        self._mean = vectors.mean(axis=0)
        self._values, self._axes = np.linalg.eigh(_scatter(vectors - self._mean))
        parts = [scores.mean(axis=1, keepdims=True)]
        if scores.shape[1] > 1:
            parts.append(advantage(scores))
        found = [self._solve(vectors, part) for part in parts]
        # In the order difficulty, advantage; one expert alone has no advantage.
        self._weights = sum(weights for weights, _, _ in found)
        self._base = scores.mean(axis=0)
        self._alphas = np.array([alpha for _, alpha, _ in found])
        fitted = (vectors - self._mean) @ self._weights + self._base
        self._noise = np.sqrt(((scores - fitted) ** 2).mean(axis=0))

    def predict(self, queries: Queries) -> Estimate:
        """Return the regression's values, and their errors by each query's leverage."""
        import numpy as np

        centred = queries.vectors().astype(np.float64) - self._mean
        quality = centred @ self._weights + self._base
        turned = centred @ self._axes
        leverage = (turned**2 / (self._values.clip(0) + self._alphas[-1])).sum(axis=1)
        error = np.sqrt(leverage)[:, None] * self._noise
        return Estimate(quality=quality.astype(np.float32), error=error.astype(np.float32))

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return the regressions and the scatter of the vectors they were fitted on."""
        return {
            "mean": self._mean,
            "values": self._values,
            "axes": self._axes,
            "weights": self._weights,
            "base": self._base,
            "alphas": self._alphas,
            "noise": self._noise,
        }

    def restore(self, state: Mapping[str, NDArray[Any]], experts: tuple[str, ...]) -> None:
        """Take over the regressions."""
        self._mean, self._values, self._axes = state["mean"], state["values"], state["axes"]
        self._weights, self._base = state["weights"], state["base"]
        self._alphas, self._noise = state["alphas"], state["noise"]

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Name the penalties."""
        alphas = [float(alpha) for alpha in self._alphas]
        return {"alphas": alphas, "reason": f"linear in the embedding, penalty {alphas[-1]:g}"}

    def add(self, queries: Queries, table: Table, seed: int) -> None:
        """Fit a regression of the new expert alone, on its own rows."""
        import numpy as np

        one = Ridge(self.options)
        one.fit(queries, table, seed)
        # The same function of a vector, about the mean of the vectors that are here.
        base = one._base + (self._mean - one._mean) @ one._weights
        self._weights = np.concatenate([self._weights, one._weights], axis=1)
        self._base = np.append(self._base, base)
        self._noise = np.append(self._noise, one._noise)

    def remove(self, column: int) -> None:
        """Drop the regression of an expert."""
        import numpy as np

        self._weights = np.delete(self._weights, column, axis=1)
        self._base = np.delete(self._base, column)
        self._noise = np.delete(self._noise, column)

    def _solve(
        self, vectors: NDArray[Any], target: NDArray[Any]
    ) -> tuple[NDArray[Any], float, float]:
        """Return weights, penalty and leave-one-out error of the best penalty for `target`."""
        turned = (vectors - self._mean) @ self._axes
        centred = target - target.mean(axis=0)
        products = turned.T @ centred
        best: tuple[NDArray[Any], float, float] | None = None
        for alpha in self.options.alphas:
            shrunk = 1 / (self._values.clip(0) + alpha)
            leverage = (turned**2 * shrunk).sum(axis=1) + 1 / len(turned)
            left = centred - turned @ (products * shrunk[:, None])
            held_out = left / (1 - leverage).clip(1e-6)[:, None]
            error = float((held_out**2).mean())
            if best is None or error < best[2]:
                best = self._axes @ (products * shrunk[:, None]), alpha, error
        assert best is not None
        return best


def _scatter(centred: NDArray[Any]) -> NDArray[Any]:
    products: NDArray[Any] = centred.T @ centred
    return products
