"""Separate regressions of quality and of cost, as CARROT (arXiv 2502.03261) routes.

CARROT takes the argmax of `(1 - mu) quality - mu cost`: the decision's lambda is `mu / (1 - mu)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from motet.errors import TableError
from motet.routers.learned.base import Estimate, Estimator, Need, Queries
from motet.routers.learned.kinds.ridge import Ridge, RidgeConfig
from motet.tables.routing import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEAST = 0.05
"""A predicted cost is at least this share of the expert's mean."""


class CostQuality(Estimator):
    """Expects quality by one ridge regression and cost by another, which also sees length."""

    Config = RidgeConfig
    options: RidgeConfig
    needs: frozenset[Need] = frozenset({"embeddings", "texts"})

    def __init__(self, options: RidgeConfig) -> None:
        super().__init__(options)
        self._quality, self._cost = Ridge(options), Ridge(options)

    def fit(self, queries: Queries, table: Table, seed: int) -> None:
        """Fit both."""
        if table.costs is None:
            raise TableError(
                f"'cost-quality' learns costs, and {table.name} has no 'cost:' columns.",
                hint="Use 'ridge', or add costs to the table.",
            )
        self._quality.fit(queries, table, seed)
        mean = table.costs.mean(axis=0).clip(1e-12)
        # In units of each expert's mean, so that no expert's prices drown another's.
        relative = replace(table, scores=table.costs / mean)
        self._cost.fit(_with_length(queries), relative, seed)
        self.learned = {"mean_cost": mean}

    def predict(self, queries: Queries) -> Estimate:
        """Return both."""
        import numpy as np

        quality = self._quality.predict(queries)
        times = self._cost.predict(_with_length(queries)).quality.clip(_LEAST)
        return replace(quality, cost=(times * self.learned["mean_cost"]).astype(np.float32))

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return both regressions."""
        state = dict(self.learned)
        state |= {f"quality.{name}": array for name, array in self._quality.state().items()}
        return state | {f"cost.{name}": array for name, array in self._cost.state().items()}

    def restore(self, state: Mapping[str, NDArray[Any]], experts: tuple[str, ...]) -> None:
        """Take over both regressions."""
        self.learned = {"mean_cost": state["mean_cost"]}
        for prefix, part in (("quality.", self._quality), ("cost.", self._cost)):
            own = {n.removeprefix(prefix): a for n, a in state.items() if n.startswith(prefix)}
            part.restore(own, experts)

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Name the penalties of both."""
        alphas = {
            "quality_alphas": self._quality.learned["alphas"].tolist(),
            "cost_alphas": self._cost.learned["alphas"].tolist(),
        }
        return {**alphas, "reason": "quality and cost are linear in the embedding"}

    def remove(self, column: int) -> None:
        """Drop an expert from both."""
        self._quality.remove(column)
        self._cost.remove(column)
        self.drop(column, "mean_cost")


def _with_length(queries: Queries) -> Queries:
    """Return queries whose vectors carry the logarithm of the text's length."""
    import numpy as np

    length = np.log1p([len(text) for text in queries.texts or ()])[:, None] / 10
    vectors = np.concatenate([queries.vectors(), length], axis=1).astype(np.float32)
    return replace(queries, embeddings=vectors)
