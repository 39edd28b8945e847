"""Clusters of queries, and how good each expert is in each.

Avengers (arXiv 2505.19797: 64 clusters, the nearest 2, beta 6) and Avengers-Pro (arXiv
2508.12631: 25 clusters, the nearest 3, beta 9). Their trade-off of quality against cheapness is
the decision's lambda.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from motet.config import Options
from motet.routers.learned.base import Estimate, Estimator, Queries
from motet.tables.routing import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ClustersConfig(Options):
    """Hyperparameters of `clusters`."""

    clusters: PositiveInt = 64
    """Number of clusters; fewer where there are fewer queries."""
    nearest: PositiveInt = 2
    """Clusters that a query mixes."""
    beta: PositiveFloat = 6.0
    """How fast the weight of a cluster falls with its distance: softmax(-beta * distance)."""
    prior_rows: NonNegativeFloat = 10.0
    """Rows' worth of an expert's overall mean in each cluster, which steadies small clusters."""


class Clusters(Estimator):
    """Expects of each expert its mean scores in the query's nearest clusters."""

    Config = ClustersConfig
    options: ClustersConfig

    def fit(self, queries: Queries, table: Table, seed: int) -> None:
        """Cluster the queries by k-means and take means."""
        import numpy as np

        from motet.routers.learned.kmeans import kmeans

        vectors = queries.vectors().astype(np.float32)
        count = min(self.options.clusters, len(np.unique(vectors, axis=0)))
        centres, labels = kmeans(vectors, count, seed)
        self.learned = {"centres": centres}
        self.learned |= self._columns(labels, table.scores)

    def predict(self, queries: Queries) -> Estimate:
        """Mix the nearest clusters."""
        import numpy as np

        near, weights = self._near(queries)
        quality = (self.learned["quality"][near] * weights[..., None]).sum(axis=1)
        error = np.sqrt(((self.learned["error"][near] * weights[..., None]) ** 2).sum(axis=1))
        return Estimate(quality=quality.astype(np.float32), error=error.astype(np.float32))

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Name the clusters with their weights."""
        near, weights = self._near(queries)
        mixed = [
            {"cluster": int(cluster), "weight": round(float(weight), 4)}
            for cluster, weight in zip(near[0], weights[0], strict=True)
        ]
        words = " and ".join(f"{one['cluster']} ({one['weight']:.2f})" for one in mixed)
        return {"clusters": mixed, "reason": f"cluster {words}"}

    def add(self, queries: Queries, table: Table, seed: int) -> None:
        """Take the new expert's means in the clusters that are here."""
        labels = self._distances(queries).argmin(axis=1)
        self.append(**self._columns(labels, table.scores))

    def remove(self, column: int) -> None:
        """Drop an expert's means."""
        self.drop(column, "quality", "error")

    def _columns(self, labels: NDArray[Any], scores: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return `[clusters, experts]` means and their standard errors."""
        import numpy as np

        clusters = len(self.learned["centres"])
        sums, squares = np.zeros((2, clusters, scores.shape[1]))
        np.add.at(sums, labels, scores)
        np.add.at(squares, labels, scores.astype(np.float64) ** 2)
        rows = np.bincount(labels, minlength=clusters)[:, None] + self.options.prior_rows
        prior = scores.astype(np.float64)
        mean = (sums + self.options.prior_rows * prior.mean(axis=0)) / rows.clip(1)
        square = (squares + self.options.prior_rows * (prior**2).mean(axis=0)) / rows.clip(1)
        return {"quality": mean, "error": np.sqrt((square - mean**2).clip(1e-6) / rows.clip(1))}

    def _near(self, queries: Queries) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return `[queries, nearest]` clusters and their weights."""
        import numpy as np

        distances = self._distances(queries)
        count = min(self.options.nearest, distances.shape[1])
        near = np.argsort(distances, axis=1, kind="stable")[:, :count]
        close = np.take_along_axis(distances, near, 1)
        weights = np.exp(-self.options.beta * (close - close[:, :1]))
        return near, weights / weights.sum(axis=1, keepdims=True)

    def _distances(self, queries: Queries) -> NDArray[Any]:
        """Return `[queries, clusters]` Euclidean distances."""
        import numpy as np

        vectors = queries.vectors().astype(np.float64)
        centres = self.learned["centres"].astype(np.float64)
        squares = (vectors**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1)
        distances: NDArray[Any] = np.sqrt((squares - 2 * vectors @ centres.T).clip(0))
        return distances
