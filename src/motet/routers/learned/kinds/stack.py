"""A weighted sum of other kinds, their weights learned on queries that they had not seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from motet.config import Options
from motet.routers.learned.base import Estimate, Estimator, Need, Queries
from motet.routers.learned.folds import advantage, folds
from motet.routers.learned.part import Part, build
from motet.tables.routing import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[Any]

_PARTS = tuple(Part(kind=kind) for kind in ("categories", "words", "ridge", "clusters", "knn"))
_SHARPNESS = 200.0
_GRID, _BEST = 10, 40
_LEAST = 0.05
"""A part that weighs less is left out: it costs time and changes little."""


class StackConfig(Options):
    """Hyperparameters of `stack`."""

    of: tuple[Part, ...] = Field(default=_PARTS, min_length=1, max_length=6)
    """The kinds that are weighed."""
    folds: int = Field(default=3, ge=2, le=10)
    """Parts of the table that are held out in turn while weights are learned."""


class Stack(Estimator):
    """Mixes the estimates of its parts with convex weights.

    The weights are those with which choosing the best estimate, a little softened, scores best
    on held-out queries, every task counting the same: what decisions are judged by.
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
                for number, named in enumerate(self.options.of):
                    one = build(named)
                    one.fit(queries.take(known), table.take(known), seed)
                    held_out[number, held] = one.predict(queries.take(held)).quality
        self.learned = {"weights": _weights(_shared(held_out), table)}
        for _, _, part in self._used():
            part.fit(queries, table, seed)

    def predict(self, queries: Queries) -> Estimate:
        """Return the mixed estimates, as unsure as the parts are and as they differ."""
        import numpy as np

        estimates = [part.predict(queries) for _, _, part in self._used()]
        weights = np.array([weight for _, weight, _ in self._used()])[:, None, None]
        each = np.stack([one.quality for one in estimates]).astype(np.float64)
        quality = (each * weights).sum(axis=0)
        squares = np.stack([one.error for one in estimates]).astype(np.float64) ** 2
        error = np.sqrt(((squares + (each - quality) ** 2) * weights).sum(axis=0))
        return Estimate(quality=quality.astype(np.float32), error=error.astype(np.float32))

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return the weights and what every part learned."""
        state = dict(self.learned)
        for number, _, part in self._used():
            state |= {f"{number}.{name}": array for name, array in part.state().items()}
        return state

    def restore(self, state: Mapping[str, NDArray[Any]], experts: tuple[str, ...]) -> None:
        """Take over weights and parts."""
        self.learned = {"weights": state["weights"]}
        for number, _, part in self._used():
            prefix = f"{number}."
            own = {n.removeprefix(prefix): a for n, a in state.items() if n.startswith(prefix)}
            part.restore(own, experts)

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Show every part with its weight."""
        parts = [
            {
                "kind": self.options.of[number].kind,
                "weight": round(weight, 4),
                **part.explain(queries),
            }
            for number, weight, part in self._used()
        ]
        told = sorted((p for p in parts if p["weight"] > 0.05), key=lambda p: -p["weight"])
        words = "; ".join(f"{p['weight']:.2f} {p['kind']}: {p.get('reason', '')}" for p in told)
        return {"parts": parts, "reason": words}

    def remove(self, column: int) -> None:
        """Let every part forget an expert; the weights stay."""
        for _, _, part in self._used():
            part.remove(column)

    def add(self, queries: Queries, table: Table, seed: int) -> None:
        """Let every part learn an expert; the weights stay."""
        for _, _, part in self._used():
            part.add(queries, table, seed)

    def _used(self) -> list[tuple[int, float, Estimator]]:
        """Return number, weight and estimator of the parts that weigh anything."""
        weighed = zip(self.learned["weights"].tolist(), self._parts, strict=True)
        return [(n, weight, part) for n, (weight, part) in enumerate(weighed) if weight > 0]


def _shared(held_out: Floats) -> Floats:
    """Return estimates as advantages, none where a part leaves an expert out."""
    import numpy as np

    filled = np.nan_to_num(held_out, nan=0.0)
    centred: Floats = filled - filled.mean(axis=2, keepdims=True)
    return centred


def _weights(held_out: Floats, table: Table) -> Floats:
    """Return `[parts]` convex weights: the mean of the best on a grid.

    What decisions are judged by moves in jumps, so the very best of a grid is best by chance;
    the mean of a few is steadier.
    """
    import numpy as np

    scores = table.scores.astype(np.float64)
    _, task, count = np.unique(np.array(table.tasks), return_inverse=True, return_counts=True)
    row = 1 / (count[task] * len(count))
    grid = np.array(list(_grid(len(held_out), _GRID)), np.float64) / _GRID
    # Once as they are, and once without what an expert is worth on the whole: with costs in
    # play, who gains most by being chosen here rather than elsewhere decides.
    usual = held_out - (row[:, None] * held_out).sum(axis=1, keepdims=True)
    gains = advantage(scores - (row[:, None] * scores).sum(axis=0))
    worth = _worth(grid, held_out, scores * row[:, None])
    worth += _worth(grid, usual, gains * row[:, None])
    best = np.argsort(-worth, kind="stable")[:_BEST]
    weights = grid[best].mean(axis=0)
    weights[weights < min(_LEAST, weights.max())] = 0.0
    shares: Floats = weights / weights.sum()
    return shares


def _worth(grid: Floats, held_out: Floats, scores: Floats) -> Floats:
    """Return `[grid]` what choosing by each of these mixes scores."""
    import numpy as np
    from scipy.special import softmax

    mixes = (np.tensordot(weights, held_out, 1) for weights in grid)
    return np.array([(softmax(_SHARPNESS * mix, axis=1) * scores).sum() for mix in mixes])


def _grid(parts: int, total: int) -> Iterator[tuple[int, ...]]:
    """Yield every way to write `total` as a sum of `parts` numbers."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _grid(parts - 1, total - first):
            yield (first, *rest)
