"""Item response theory: an ability for each expert, a difficulty for each query.

IRT-Router (arXiv 2506.01048):

    theta = W_theta e_M,   a = softplus(W_a e_q),   b = w_b . e_q,   P = sigmoid(a . theta - b)

Here an expert's `theta` is free where it has answers; a new one fits its own alone, as in
"Compact Representations of LLM Abilities". A query is mixed with its nearest neighbours
(warm-up), which steadies queries unlike any that were learned from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from motet.config import Options
from motet.routers.learned.base import Estimate, Estimator, Queries
from motet.routers.learned.kinds.knn import build_index
from motet.tables.routing import Table

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


_PRIOR_VARIANCE = 0.25
_NEIGHBOURS_AMONG = 4000


class IRTConfig(Options):
    """Hyperparameters of `irt`."""

    dimensions: PositiveInt = 25
    """Kinds of ability."""
    rate: PositiveFloat = 1e-3
    """Learning rate."""
    decay: NonNegativeFloat = 1e-5
    """Weight decay."""
    batch: PositiveInt = 64
    """Queries a step."""
    epochs: PositiveInt = 20
    """Passes over the table."""
    neighbours: PositiveInt = 10
    """Queries that a query is mixed with."""
    warm_up: float = Field(default=0.3, ge=0, le=1)
    """Their share in the mix."""


class IRT(Estimator):
    """Expects the probability that an expert's ability overcomes a query's difficulty."""

    Config = IRTConfig
    options: IRTConfig

    def fit(self, queries: Queries, table: Table, seed: int) -> None:
        """Learn abilities, and what in an embedding asks for which."""
        import numpy as np
        import torch

        from motet.routers.learned.training import descend, generator, normal

        options, random = self.options, generator(seed)
        vectors = queries.vectors()
        rows = torch.from_numpy(vectors)
        scores = torch.from_numpy(table.scores)
        width, size = vectors.shape[1], options.dimensions
        ask = normal((width + 1, size), width**-0.5, random)
        hard = normal((width + 1,), width**-0.5, random)
        theta = normal((scores.shape[1], size), 0.1, random)

        def loss(part: torch.Tensor) -> torch.Tensor:
            return _loss(_constant(rows[part]), scores[part], ask, hard, theta)

        descend(
            [ask, hard, theta],
            loss,
            rows=len(rows),
            batch=options.batch,
            epochs=options.epochs,
            rate=options.rate,
            decay=options.decay,
            generator=random,
        )
        self.learned = {
            "ask": ask.detach().numpy().astype(np.float64),
            "hard": hard.detach().numpy().astype(np.float64),
            "theta": theta.detach().numpy().T.astype(np.float64).copy(),
            "vectors": _some(vectors, seed),
            "rows": np.full(scores.shape[1], float(len(rows))),
        }
        self._index = build_index(self.learned["vectors"])

    def predict(self, queries: Queries) -> Estimate:
        """Return probabilities, with errors by the answers that each ability was learned from."""
        import numpy as np

        asked, hard = self._items(queries)
        quality = _sigmoid(asked @ self.learned["theta"] - hard[:, None])
        # A weighted count of answers to queries alike; a tenth of them speak of this one.
        error = np.sqrt(quality * (1 - quality) / (0.1 * self.learned["rows"]).clip(1))
        return Estimate(quality=quality.astype(np.float32), error=error.astype(np.float32))

    def restore(self, state: Mapping[str, NDArray[Any]], experts: tuple[str, ...]) -> None:
        """Take over abilities, and index the neighbours anew."""
        super().restore(state, experts)
        self._index = build_index(self.learned["vectors"])

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Show the difficulty, and how each expert's ability meets what is asked."""
        asked, hard = self._items(queries)
        met = (asked @ self.learned["theta"])[0]
        return {
            "difficulty": round(float(hard[0]), 4),
            "discrimination": round(float((asked[0] ** 2).sum() ** 0.5), 4),
            "by_column": {"ability": [round(float(one), 4) for one in met]},
            "reason": f"difficulty {hard[0]:.2f}, best ability for it {met.max():.2f}",
        }

    def add(self, queries: Queries, table: Table, seed: int) -> None:
        """Fit the new expert's ability alone, from about a hundred answers up.

        Newton's method on the penalised likelihood, with the mean ability as its prior.
        """
        import numpy as np

        asked, hard = self._items(queries)
        scores = table.scores[:, 0].astype(np.float64)
        prior = self.learned["theta"].mean(axis=1)
        # Few known experts vary less than a new one may.
        spread = self.learned["theta"].var(axis=1).clip(_PRIOR_VARIANCE)
        theta = prior.copy()
        for _ in range(50):
            chance = _sigmoid(asked @ theta - hard)
            slope = asked.T @ (scores - chance) - (theta - prior) / spread
            bend = (asked * (chance * (1 - chance))[:, None]).T @ asked + np.diag(1 / spread)
            step = np.linalg.solve(bend, slope)
            theta += step / max(1.0, float(np.abs(step).max()))
            if np.abs(step).max() < 1e-6:
                break
        self.append(theta=theta[:, None], rows=np.array([float(len(scores))]))

    def remove(self, column: int) -> None:
        """Drop an expert's ability."""
        self.drop(column, "theta", "rows")

    def _items(self, queries: Queries) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return `[queries, dimensions]` what is asked and `[queries]` how hard it is."""
        import numpy as np

        vectors = queries.vectors()
        known = self.learned["vectors"]
        share, count = self.options.warm_up, min(self.options.neighbours, len(known))
        if share > 0:
            _, near = self._index.search(np.ascontiguousarray(vectors, np.float32), count)
            vectors = (1 - share) * vectors + share * known[near].mean(axis=1)
        padded = np.concatenate([vectors, np.ones((len(vectors), 1))], axis=1).astype(np.float64)
        return np.logaddexp(0, padded @ self.learned["ask"]), padded @ self.learned["hard"]


def _loss(
    rows: torch.Tensor,
    scores: torch.Tensor,
    ask: torch.Tensor,
    hard: torch.Tensor,
    theta: torch.Tensor,
) -> torch.Tensor:
    import torch

    asked = torch.nn.functional.softplus(rows @ ask)
    logits = asked @ theta.T - (rows @ hard)[:, None]
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, scores)


def _some(vectors: NDArray[Any], seed: int) -> NDArray[Any]:
    """Return rows to be neighbours: all, or as many as are searched in half a millisecond."""
    import numpy as np

    rows = np.random.default_rng(seed).permutation(len(vectors))[:_NEIGHBOURS_AMONG]
    return vectors[np.sort(rows)].astype(np.float32)


def _constant(rows: torch.Tensor) -> torch.Tensor:
    """Return rows with a 1 at the end, so that weights hold a bias."""
    import torch

    return torch.cat([rows, torch.ones(len(rows), 1)], dim=1)


def _sigmoid(values: NDArray[Any]) -> NDArray[Any]:
    from scipy.special import expit

    chances: NDArray[Any] = expit(values)
    return chances
