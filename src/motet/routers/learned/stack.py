"""A weighted sum of other kinds, their weights learned on queries that they had not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, PositiveInt

from motet.config import Options
from motet.routers.learned.base import Estimate, Estimator, Need, Queries
from motet.routers.learned.folds import folds
from motet.routers.learned.part import Part, build
from motet.routers.tables import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[Any]

_PARTS = (Part(kind="categories"), Part(kind="words"), Part(kind="ridge"), Part(kind="knn"))
_SHARPNESS = 50.0
_STEPS = 300


class StackConfig(Options):
    """Hyperparameters of `stack`."""

    of: tuple[Part, ...] = Field(default=_PARTS, min_length=1)
    """The kinds that are weighed."""
    folds: PositiveInt = 4
    """Parts of the table that are held out in turn while weights are learned."""


class Stack(Estimator):
    """Mixes the estimates of its parts with convex weights.

    The weights are those with which a policy that prefers better estimates, softly, scores best
    on held-out queries, every task counting the same: what decisions are judged by, made smooth.
    """

    Config = StackConfig
    options: StackConfig

    def __init__(self, options: StackConfig) -> None:
        super().__init__(options)
        self._parts = [build(part) for part in options.of]
        self.names_experts = any(part.names_experts for part in self._parts)

    @property
    def needs(self) -> frozenset[Need]:  # type: ignore[override]
        """What any of its parts needs."""
        return frozenset().union(*(part.needs for part in self._parts))

    def fit(self, queries: Queries, table: Table, seed: int) -> None:
        """Fit every part on all rows, after weighing them on rows held out."""
        import numpy as np

        shape = (len(self._parts), len(table), len(table.experts))
        held_out = np.zeros(shape)
        if len(self._parts) > 1:
            for known, held in folds(table, self.options.folds, seed):
                for number, part in enumerate(self.options.of):
                    one = build(part)
                    one.fit(queries.take(known), table.take(known), seed)
                    held_out[number, held] = one.predict(queries.take(held)).quality
        for part in self._parts:
            part.fit(queries, table, seed)
        weights = _weights(_shared(held_out), table)
        self.learned = {"weights": weights}

    def predict(self, queries: Queries) -> Estimate:
        """Return the mixed estimates, as unsure as the parts are and as they differ."""
        import numpy as np

        found = [part.predict(queries) for part in self._parts]
        weights = self.learned["weights"][:, None, None]
        each = np.stack([one.quality for one in found]).astype(np.float64)
        quality = (each * weights).sum(axis=0)
        squares = np.stack([one.error for one in found]).astype(np.float64) ** 2
        error = np.sqrt(((squares + (each - quality) ** 2) * weights).sum(axis=0))
        return Estimate(quality=quality.astype(np.float32), error=error.astype(np.float32))

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return the weights and what every part learned."""
        found = dict(self.learned)
        for number, part in enumerate(self._parts):
            found |= {f"{number}.{name}": array for name, array in part.state().items()}
        return found

    def restore(self, state: Mapping[str, NDArray[Any]], experts: tuple[str, ...]) -> None:
        """Take over weights and parts."""
        self.learned = {"weights": state["weights"]}
        for number, part in enumerate(self._parts):
            prefix = f"{number}."
            own = {n.removeprefix(prefix): a for n, a in state.items() if n.startswith(prefix)}
            part.restore(own, experts)

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Show every part with its weight."""
        parts = [
            {"kind": named.kind, "weight": round(float(weight), 4), **part.explain(queries)}
            for named, part, weight in zip(
                self.options.of, self._parts, self.learned["weights"], strict=True
            )
        ]
        told = sorted((p for p in parts if p["weight"] > 0.05), key=lambda p: -p["weight"])
        words = "; ".join(f"{p['weight']:.2f} {p['kind']}: {p.get('reason', '')}" for p in told)
        return {"parts": parts, "reason": words}

    def remove(self, column: int) -> None:
        """Let every part forget an expert; the weights stay."""
        for part in self._parts:
            part.remove(column)

    def add(self, queries: Queries, table: Table, seed: int) -> None:
        """Let every part learn an expert; the weights stay."""
        for part in self._parts:
            part.add(queries, table, seed)


def _shared(held_out: Floats) -> Floats:
    """Return estimates as advantages, none where a part leaves an expert out."""
    import numpy as np

    filled = np.nan_to_num(held_out, nan=0.0)
    centred: Floats = filled - filled.mean(axis=2, keepdims=True)
    return centred


def _weights(held_out: Floats, table: Table) -> Floats:
    """Return `[parts]` convex weights, by ascent of the soft policy's mean score over tasks."""
    import numpy as np
    from scipy.special import softmax

    parts = len(held_out)
    scores = table.scores.astype(np.float64)
    _, task, count = np.unique(np.array(table.tasks), return_inverse=True, return_counts=True)
    row = 1 / (count[task] * len(count))
    logits = np.zeros(parts)
    for step in range(_STEPS if parts > 1 else 0):
        weights = softmax(logits)
        policy = softmax(_SHARPNESS * np.tensordot(weights, held_out, 1), axis=1)
        value = (policy * scores).sum(axis=1, keepdims=True)
        slope = np.einsum("q,qe,pqe->p", row, policy * (scores - value), held_out) * _SHARPNESS
        logits += 10.0 / (1 + step / 100) * weights * (slope - weights @ slope) * parts
    found: Floats = softmax(logits)
    return found
