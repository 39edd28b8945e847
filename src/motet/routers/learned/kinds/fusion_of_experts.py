"""A network that picks, trained on which experts answered well; frugal about how many it needs.

Fusion of Experts (arXiv 2310.01542): a fuser learns from all experts' results which to trust for
an input, and its frugal form asks another expert only while the error it saves is worth its cost.
A router picks before anybody answers, so here the fuser reads the query, and the frugal form
chooses the experts that are kept at all.
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

    Floats = NDArray[Any]


class FusionOfExpertsConfig(Options):
    """Hyperparameters of `fusion-of-experts`."""

    hidden: PositiveInt = 128
    """Width of the hidden layer."""
    rate: PositiveFloat = 1e-3
    """Learning rate."""
    decay: NonNegativeFloat = 1e-4
    """Weight decay."""
    batch: PositiveInt = 128
    """Queries a step."""
    epochs: PositiveInt = 15
    """Passes over the table."""
    toll: NonNegativeFloat = 0.0
    """Mean score that another expert must add to be kept; 0 keeps all."""


class FusionOfExperts(Estimator):
    """Expects the network's probability that each expert answers well."""

    Config = FusionOfExpertsConfig
    options: FusionOfExpertsConfig

    def fit(self, queries: Queries, table: Table, seed: int) -> None:
        """Train the network, and choose who is kept by what a fifth held out says."""
        import numpy as np

        vectors, scores = queries.vectors(), table.scores
        kept = np.ones(scores.shape[1], bool)
        if self.options.toll > 0:
            order = np.random.default_rng(seed).permutation(len(scores))
            held, known = np.split(order, [len(scores) // 5])
            if len(held) and len(known):
                self.learned = self._train(vectors[known], scores[known], seed)
                kept = _roster(self._quality(vectors[held]), scores[held], self.options.toll)
        self.learned = self._train(vectors, scores, seed)
        left = scores - self._quality(vectors)
        error = np.sqrt((left**2).mean(axis=0) / max(len(scores), 1) ** 0.5)
        self.learned |= {"error": error, "kept": kept}

    def predict(self, queries: Queries) -> Estimate:
        """Return the probabilities; NaN for experts that are not kept."""
        import numpy as np

        quality = np.where(self.learned["kept"], self._quality(queries.vectors()), np.nan)
        error = np.tile(self.learned["error"], (len(quality), 1))
        return Estimate(quality=quality.astype(np.float32), error=error.astype(np.float32))

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Say how many experts are kept."""
        kept = int(self.learned["kept"].sum())
        return {"kept": kept, "reason": f"the network's pick of {kept}"}

    def remove(self, column: int) -> None:
        """Drop an expert's output."""
        self.drop(column, "last", "last_base", "error", "kept")

    def _train(self, vectors: Floats, scores: Floats, seed: int) -> dict[str, Floats]:
        import torch

        from motet.routers.learned.training import descend, generator, normal

        options, random = self.options, generator(seed)
        inputs, targets = torch.from_numpy(vectors), torch.from_numpy(scores)
        width, experts = vectors.shape[1], scores.shape[1]
        first = normal((width, options.hidden), 2 * width**-0.5, random)
        first_base = torch.zeros(options.hidden, requires_grad=True)
        last = normal((options.hidden, experts), 0.1 * options.hidden**-0.5, random)
        mean = targets.mean(dim=0).clamp(0.01, 0.99)
        last_base = torch.logit(mean).clone().requires_grad_()

        def loss(rows: torch.Tensor) -> torch.Tensor:
            hidden = torch.relu(inputs[rows] @ first + first_base)
            logits = hidden @ last + last_base
            return torch.nn.functional.binary_cross_entropy_with_logits(logits, targets[rows])

        learned = {"first": first, "first_base": first_base, "last": last, "last_base": last_base}
        descend(
            learned.values(),
            loss,
            rows=len(inputs),
            batch=options.batch,
            epochs=options.epochs,
            rate=options.rate,
            decay=options.decay,
            generator=random,
        )
        return {n: value.detach().numpy().astype("float64") for n, value in learned.items()}

    def _quality(self, vectors: Floats) -> Floats:
        import numpy as np
        from scipy.special import expit

        learned = self.learned
        hidden = (vectors.astype(np.float64) @ learned["first"] + learned["first_base"]).clip(0)
        quality: Floats = expit(hidden @ learned["last"] + learned["last_base"])
        return quality


def _roster(quality: Floats, scores: Floats, toll: float) -> NDArray[Any]:
    """Return who is kept: experts join while the next raises the mean score by `toll`."""
    import numpy as np

    rows = np.arange(len(scores))
    kept = np.zeros(scores.shape[1], bool)
    reached = -np.inf
    while not kept.all():
        worth = {}
        for expert in np.flatnonzero(~kept):
            joined = kept.copy()
            joined[expert] = True
            pick = np.where(joined, quality, -np.inf).argmax(axis=1)
            worth[int(expert)] = float(scores[rows, pick].mean())
        best = max(worth, key=lambda expert: worth[expert])
        if worth[best] < reached + toll:
            break
        kept[best], reached = True, worth[best]
    return kept
