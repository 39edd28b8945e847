"""Dual contrastive learning: a vector for each expert near the queries it answers best.

RouterDC (arXiv 2409.19886): `s_t = cos(E(x), k_t)`; the loss pulls a query to each of its top
experts against its bottom ones,

    sum over i in top 3 of -log(exp(s_i) / (exp(s_i) + sum over j in bottom 3 of exp(s_j)))

and queries of one cluster together (InfoNCE). There the encoder itself is trained; here a
projection of its vectors, so that routers can share one encoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from motet.config import Options
from motet.routers.learned.base import Estimate, Estimator, Queries
from motet.tables.routing import Table

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


class ContrastiveConfig(Options):
    """Hyperparameters of `contrastive`."""

    dimensions: PositiveInt = 128
    """Length of the vectors that are compared."""
    top: PositiveInt = 3
    """Best experts of a query that are pulled to it; those with a score of zero are not."""
    bottom: PositiveInt = 3
    """Worst experts of a query, pushed away; those that scored above `spare` are not."""
    spare: NonNegativeFloat = 0.5
    """Score above which an expert is no negative."""
    clusters: PositiveInt = 8
    """Clusters of queries for the second loss."""
    cluster_weight: NonNegativeFloat = 1.0
    """Weight of the second loss."""
    temperature: PositiveFloat = 0.2
    """What similarities are divided by in both losses."""
    rate: PositiveFloat = 1e-3
    """Learning rate."""
    batch: PositiveInt = 64
    """Queries a step."""
    epochs: PositiveInt = 20
    """Passes over the table."""


class Contrastive(Estimator):
    """Ranks experts by the cosine of their vector and the query's; its quality is a line of it."""

    Config = ContrastiveConfig
    options: ContrastiveConfig

    def fit(self, queries: Queries, table: Table, seed: int) -> None:
        """Train the projection and the experts' vectors."""
        import torch

        from motet.routers.learned.kmeans import kmeans
        from motet.routers.learned.training import as_quality, descend, generator, normal

        options, random = self.options, generator(seed)
        vectors = torch.from_numpy(queries.vectors())
        scores = torch.from_numpy(table.scores)
        width = vectors.shape[1]
        project = normal((width, options.dimensions), width**-0.5, random)
        keys = normal((scores.shape[1], options.dimensions), 1.0, random)
        count = min(options.clusters, len(vectors))
        cluster = torch.from_numpy(kmeans(vectors.numpy(), count, seed)[1])

        def loss(rows: torch.Tensor) -> torch.Tensor:
            projected = torch.nn.functional.normalize(vectors[rows] @ project, dim=1)
            similar = projected @ torch.nn.functional.normalize(keys, dim=1).T
            pull = self._pull(similar / options.temperature, scores[rows])
            return pull + options.cluster_weight * _together(
                projected, cluster[rows], options.temperature
            )

        descend(
            [project, keys],
            loss,
            rows=len(vectors),
            batch=options.batch,
            epochs=options.epochs,
            rate=options.rate,
            generator=random,
        )
        with torch.no_grad():
            unit = torch.nn.functional.normalize(keys, dim=1)
        self.learned = {
            "project": project.detach().numpy().astype("float64"),
            "keys": unit.numpy().T.astype("float64").copy(),
        }
        line, error = as_quality(self._similar(queries), table.scores)
        self.learned |= {"line": line, "error": error}

    def predict(self, queries: Queries) -> Estimate:
        """Return the line of the cosine."""
        import numpy as np

        slope, base = self.learned["line"]
        quality = self._similar(queries) * slope + base
        error = np.tile(self.learned["error"], (len(quality), 1))
        return Estimate(quality=quality.astype(np.float32), error=error.astype(np.float32))

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Show the cosine of the nearest expert."""
        similar = float(self._similar(queries)[0].max())
        return {"similarity": similar, "reason": f"its vector is nearest, at {similar:.2f}"}

    def remove(self, column: int) -> None:
        """Drop an expert's vector."""
        self.drop(column, "keys", "error")

    def _similar(self, queries: Queries) -> NDArray[Any]:
        """Return `[queries, experts]` cosines."""
        import numpy as np

        projected = queries.vectors().astype(np.float64) @ self.learned["project"]
        length = np.linalg.norm(projected, axis=1, keepdims=True).clip(1e-12)
        similar: NDArray[Any] = projected / length @ self.learned["keys"]
        return similar

    def _pull(self, similar: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the loss between queries and experts, a query's mean."""
        import torch

        options, experts = self.options, scores.shape[1]
        order = scores.argsort(dim=1, descending=True, stable=True)
        best, worst = order[:, : options.top], order[:, -min(options.bottom, experts - 1) :]
        if experts < 2:
            return similar.sum() * 0
        low, high = (torch.gather(scores, 1, columns) for columns in (worst, best))
        against = torch.gather(similar, 1, worst).masked_fill(low > options.spare, -torch.inf)
        positive = torch.gather(similar, 1, best)
        whole = torch.logsumexp(
            torch.cat([positive[..., None], against[:, None].expand(-1, best.shape[1], -1)], 2), 2
        )
        loss: torch.Tensor = ((whole - positive) * (high > 0)).sum(dim=1).mean()
        return loss


def _together(projected: torch.Tensor, cluster: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return InfoNCE: a query's cluster mates in the batch against everybody in it."""
    import torch

    itself = torch.eye(len(projected), dtype=torch.bool)
    similar = (projected @ projected.T / temperature).masked_fill(itself, -torch.inf)
    mates = (cluster[:, None] == cluster) & ~itself
    has = mates.any(dim=1)
    if not bool(has.any()):
        return projected.sum() * 0
    near = torch.logsumexp(similar.masked_fill(~mates, -torch.inf)[has], dim=1)
    counts = mates[has].sum(dim=1).log()
    loss: torch.Tensor = (torch.logsumexp(similar[has], dim=1) - near + counts).mean()
    return loss
