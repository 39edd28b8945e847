"""Another kind, guarded: where it cannot know, the best expert overall answers.

A router that picks a specialist for a query unlike any it learned from makes the specialist's
error its own ("transitive expert error"). Two signs of it are watched: the query is far from all
known ones, and the estimates of the top two experts hardly differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, PositiveInt

from motet.config import Options
from motet.routers.learned.base import Estimate, Estimator, Need, Queries
from motet.routers.learned.kinds.best_single import BestSingle
from motet.routers.learned.kinds.knn import build_index
from motet.routers.learned.part import Part, build
from motet.tables.routing import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INDEX = "coverage.faiss"
_ROWS = 20_000


class GuardConfig(Options):
    """Hyperparameters of `guard`."""

    of: Part = Part(kind="ridge")
    """The kind that is guarded."""
    k: PositiveInt = 5
    """Which neighbour's distance says how far a query is."""
    coverage: float = Field(default=0.99, gt=0, le=1)
    """Share of the table's own queries that count as near enough."""
    disagreement: float = Field(default=0.0, ge=0, lt=1)
    """Share of the table's queries, those of the smallest lead of the first over the second
    expert, that count as undecided."""


class Guard(Estimator):
    """Asks its part where the query is near known ones and the lead is clear."""

    Config = GuardConfig
    options: GuardConfig

    def __init__(self, options: GuardConfig) -> None:
        super().__init__(options)
        self._part = build(options.of)
        self._overall = BestSingle(Options())
        self.names_experts = self._part.names_experts

    @property
    def needs(self) -> frozenset[Need]:  # type: ignore[override]
        """Embeddings, and what its part needs."""
        return self._part.needs.union({"embeddings"})

    def fit(self, queries: Queries, table: Table, seed: int) -> None:
        """Fit the part, and calibrate both bounds on the table's own queries."""
        import numpy as np

        self._part.fit(queries, table, seed)
        self._overall.fit(queries, table, seed)
        vectors = np.ascontiguousarray(queries.vectors())
        rows = np.random.default_rng(seed).permutation(len(vectors))[:_ROWS]
        self._index = build_index(vectors[rows])
        # One neighbour more: a row's nearest is itself.
        own = self._kth(vectors[rows], self.options.k + 1)
        lead = _lead(self._part.predict(queries).quality)
        self.learned = {
            "far": np.array([np.quantile(own, 1 - self.options.coverage)]),
            "close": np.array([np.quantile(lead, self.options.disagreement)]),
        }

    def predict(self, queries: Queries) -> Estimate:
        """Return the part's estimate, or every expert's mean where the guard steps in."""
        import numpy as np

        inside, overall = self._part.predict(queries), self._overall.predict(queries)
        stopped = (self._far(queries) | self._undecided(inside))[:, None]
        unsure = np.hypot(overall.error, inside.error)
        return Estimate(
            quality=np.where(stopped, overall.quality, inside.quality),
            error=np.where(stopped, unsure, inside.error),
            cost=inside.cost,
        )

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Say whether the guard stepped in, and why."""
        similarity = float(self._kth(queries.vectors(), self.options.k)[0])
        told = self._part.explain(queries)
        evidence = {"similarity": round(similarity, 4), "covered": True, "of": told}
        if bool(self._far(queries)[0]):
            why = f"unlike known queries ({similarity:.2f} to its neighbour {self.options.k})"
        elif bool(self._undecided(self._part.predict(queries))[0]):
            why = "the top two experts are too close to call"
        else:
            return {**evidence, "reason": str(told.get("reason", ""))}
        return {**evidence, "covered": False, "reason": f"{why}, so the best overall"}

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return the bounds, the index, and what the part learned."""
        import faiss

        state = {**self.learned, _INDEX: faiss.serialize_index(self._index)}
        state |= {f"overall.{name}": array for name, array in self._overall.state().items()}
        return state | {_inside(name): array for name, array in self._part.state().items()}

    def restore(self, state: Mapping[str, NDArray[Any]], experts: tuple[str, ...]) -> None:
        """Take over the bounds, the index and the part."""
        import faiss

        self._index = faiss.deserialize_index(state[_INDEX])
        self.learned = {name: state[name] for name in ("far", "close")}
        self._overall.restore(_below("overall.", state), experts)
        self._part.restore(_below("part.", state), experts)

    def add(self, queries: Queries, table: Table, seed: int) -> None:
        """Let the part learn an expert."""
        self._part.add(queries, table, seed)
        self._overall.add(queries, table, seed)

    def remove(self, column: int) -> None:
        """Let the part forget an expert."""
        self._part.remove(column)
        self._overall.remove(column)

    def _far(self, queries: Queries) -> NDArray[Any]:
        far: NDArray[Any] = (
            self._kth(queries.vectors(), self.options.k) < self.learned["far"][0] - 1e-6
        )
        return far

    def _undecided(self, estimate: Estimate) -> NDArray[Any]:
        close: NDArray[Any] = _lead(estimate.quality) < self.learned["close"][0]
        return close

    def _kth(self, vectors: NDArray[Any], k: int) -> NDArray[Any]:
        """Return `[queries]` cosine to the k-th nearest known query."""
        import numpy as np

        similarity, _ = self._index.search(
            np.ascontiguousarray(vectors, np.float32), min(k, self._index.ntotal)
        )
        kth: NDArray[Any] = similarity[:, -1]
        return kth


def _lead(quality: NDArray[Any]) -> NDArray[Any]:
    """Return how far the best is before the second; without a second, far enough."""
    import numpy as np

    if quality.shape[1] < 2:
        return np.ones(len(quality))
    best = np.sort(np.nan_to_num(quality, nan=-1.0), axis=1)[:, -2:]
    lead: NDArray[Any] = best[:, 1] - best[:, 0]
    return lead


def _inside(name: str) -> str:
    return f"part.{name}"


def _below(prefix: str, state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {n.removeprefix(prefix): a for n, a in state.items() if n.startswith(prefix)}
