"""Matrix factorisation of who beats whom on which query.

The matrix-factorisation router of RouteLLM (arXiv 2406.18665, section 4.2), from two models to
any number:

    delta(M, q) = w . (v_M * W1 e_q),   P(M beats N on q) = sigmoid(delta(M, q) - delta(N, q))

with `v_M` of length one and no bias.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from motet.config import Options
from motet.routers.learned.base import Estimate, Estimator, Queries
from motet.tables.routing import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray


class MatrixFactorizationConfig(Options):
    """Hyperparameters of `matrix-factorization`."""

    dimensions: PositiveInt = 128
    """Length of an expert's vector."""
    noise: NonNegativeFloat = 0.1
    """Standard deviation of the noise added to embeddings while training, times their own."""
    rate: PositiveFloat = 3e-4
    """Learning rate."""
    decay: NonNegativeFloat = 1e-5
    """Weight decay."""
    batch: PositiveInt = 64
    """Queries a step."""
    epochs: PositiveInt = 100
    """Passes over the table."""


class MatrixFactorization(Estimator):
    """Ranks experts by delta; its quality is a line of delta, the same line for all."""

    Config = MatrixFactorizationConfig
    options: MatrixFactorizationConfig

    def fit(self, queries: Queries, table: Table, seed: int) -> None:
        """Train on every pair of experts that scored differently."""
        import torch

        from motet.routers.learned.training import as_quality, descend, generator, normal

        options, random = self.options, generator(seed)
        vectors = torch.from_numpy(queries.vectors())
        scores = torch.from_numpy(table.scores)
        width, experts = vectors.shape[1], scores.shape[1]
        size = options.dimensions
        project = normal((width, size), width**-0.5, random)
        own = normal((experts, size), 1.0, random)
        weigh = normal((size,), 1.0, random)
        jitter = options.noise * float(vectors.std())

        def loss(rows: torch.Tensor) -> torch.Tensor:
            noise = torch.randn(len(rows), width, generator=random) * jitter
            delta = _delta(vectors[rows] + noise, project, own, weigh)
            lead = delta[:, :, None] - delta[:, None, :]
            won = scores[rows][:, :, None] - scores[rows][:, None, :]
            pairs = won.clamp(min=0)  # each pair once, from its winner's side
            lost: torch.Tensor = torch.nn.functional.softplus(-lead) * pairs
            return lost.sum() / pairs.sum().clamp(min=1)

        descend(
            [project, own, weigh],
            loss,
            rows=len(vectors),
            batch=options.batch,
            epochs=options.epochs,
            rate=options.rate,
            decay=options.decay,
            generator=random,
        )
        with torch.no_grad():
            # All that depends on the expert, in one matrix: delta = e_q @ matrix.
            matrix = project @ (torch.nn.functional.normalize(own, dim=1) * weigh).T
        self.learned = {"matrix": matrix.numpy().astype("float64")}
        line, error = as_quality(self._deltas(queries), table.scores)
        self.learned |= {"line": line, "error": error}

    def predict(self, queries: Queries) -> Estimate:
        """Return the line of delta."""
        import numpy as np

        slope, base = self.learned["line"]
        quality = self._deltas(queries) * slope + base
        error = np.tile(self.learned["error"], (len(quality), 1))
        return Estimate(quality=quality.astype(np.float32), error=error.astype(np.float32))

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Show how far the first is before the second."""
        deltas = sorted(self._deltas(queries)[0], reverse=True)
        lead = float(deltas[0] - deltas[1]) if len(deltas) > 1 else 0.0
        return {"lead": lead, "reason": f"its factors lead the next by {lead:.2f}"}

    def remove(self, column: int) -> None:
        """Drop an expert's vector."""
        self.drop(column, "matrix", "error")

    def _deltas(self, queries: Queries) -> NDArray[Any]:
        deltas: NDArray[Any] = queries.vectors().astype("float64") @ self.learned["matrix"]
        return deltas


def _delta(vectors: Any, project: Any, own: Any, weigh: Any) -> Any:
    import torch

    return (vectors @ project) @ (torch.nn.functional.normalize(own, dim=1) * weigh).T
