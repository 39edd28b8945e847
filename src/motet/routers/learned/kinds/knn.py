"""Nearest neighbours: the mean score of the most alike queries.

Scores are averaged, never votes on the best expert: ties, which most queries are, say nothing in
a vote (RouterBench, arXiv 2403.12031; CARROT, arXiv 2502.03261).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, PositiveInt

from motet.config import Options
from motet.routers.learned.base import Estimate, Estimator, Queries
from motet.routers.learned.folds import advantage
from motet.tables.routing import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_INDEX = "neighbours.faiss"
_EXACT_ROWS = 8_000
"""Up to here looking at every row takes well under a millisecond; beyond, a graph is searched."""
_LINKS, _BREADTH, _BUILD_BREADTH = 24, 128, 100
_SHOWN = 3


class NeighboursConfig(Options):
    """Hyperparameters of `knn`."""

    k: tuple[PositiveInt, ...] = Field(default=(10, 20, 40, 80, 160), min_length=1)
    """Numbers of neighbours to choose from by leave-one-out cross-validation."""


class Neighbours(Estimator):
    """Expects of each expert its mean score on the k nearest queries, by cosine."""

    Config = NeighboursConfig
    options: NeighboursConfig

    def fit(self, queries: Queries, table: Table, seed: int) -> None:
        """Index the queries, and choose k by the error of leave-one-out."""
        import numpy as np

        vectors = np.ascontiguousarray(queries.vectors(), np.float32)
        self._scores = table.scores.astype(np.float32)
        self._index = build_index(vectors)
        self._texts = queries.texts
        rows = np.random.default_rng(seed).permutation(len(vectors))[:_EXACT_ROWS]
        most = min(max(self.options.k), len(vectors) - 1)
        _, near = self._index.search(vectors[rows], most + 1)
        near = _without_itself(near, rows)
        target = advantage(self._scores[rows])
        self._k, least = 1, np.inf
        for k in sorted({min(k, most) for k in self.options.k}):
            if k < 1:
                continue
            error = float(
                ((advantage(self._scores[near[:, :k]].mean(axis=1)) - target) ** 2).mean()
            )
            if error < least:
                self._k, least = k, error

    def predict(self, queries: Queries) -> Estimate:
        """Return means over neighbours, and the standard errors of those means."""
        import numpy as np

        _, near = self._search(queries)
        scores = self._scores[near]
        known = np.isfinite(scores)
        count = known.sum(axis=1)
        filled = np.where(known, scores, 0).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):  # nobody near knows the expert
            quality = filled.sum(axis=1) / count
            variance = (filled**2).sum(axis=1) / count - quality**2
            # Neighbours that agree prove less than that there is no doubt.
            error = np.sqrt((variance.clip(0) + 1 / (count + 2)) / count)
        return Estimate(quality=quality.astype(np.float32), error=error.astype(np.float32))

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return the index, the scores, and the start of each query for explanations."""
        import faiss

        state: dict[str, NDArray[Any]] = {
            _INDEX: faiss.serialize_index(self._index),
            "scores": self._scores,
            "k": _scalar(self._k),
        }
        return state | _packed(self._texts)

    def restore(self, state: Mapping[str, NDArray[Any]], experts: tuple[str, ...]) -> None:
        """Take over the index."""
        import faiss

        self._index = faiss.deserialize_index(state[_INDEX])
        self._scores, self._k = state["scores"], int(state["k"][0])
        self._texts = _unpacked(state)

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Show the nearest queries with their similarity."""
        similarity, near = self._search(queries)
        shown = [
            {
                "row": int(row),
                "similarity": round(float(cosine), 4),
                **({} if self._texts is None else {"query": self._texts[row][:_TEXT]}),
            }
            for cosine, row in zip(similarity[0, :_SHOWN], near[0, :_SHOWN], strict=True)
        ]
        first = f": {shown[0]['query'][:60]!r}" if "query" in shown[0] else ""
        return {
            "k": self._k,
            "neighbours": shown,
            "reason": f"{self._k} neighbours, the nearest at {shown[0]['similarity']:.2f}{first}",
        }

    def add(self, queries: Queries, table: Table, seed: int) -> None:
        """Add a column; queries that are not here yet become neighbours that know it alone."""
        import numpy as np

        vectors = np.ascontiguousarray(queries.vectors(), np.float32)
        column = np.full((len(self._scores), 1), np.nan, np.float32)
        similarity, near = self._index.search(vectors, 1)
        here = similarity[:, 0] > _SAME
        column[near[here, 0], 0] = table.scores[here, 0]
        self._scores = np.concatenate([self._scores, column], axis=1)
        if not here.all():
            rows = np.full((int((~here).sum()), self._scores.shape[1]), np.nan, np.float32)
            rows[:, -1] = table.scores[~here, 0]
            self._scores = np.concatenate([self._scores, rows])
            self._index.add(vectors[~here])
            if self._texts is not None:
                texts = queries.texts or ("",) * len(vectors)
                self._texts += tuple(texts[row] for row in np.flatnonzero(~here))

    def remove(self, column: int) -> None:
        """Drop a column; neighbours that knew that expert alone stay, and say nothing."""
        import numpy as np

        self._scores = np.delete(self._scores, column, axis=1)

    def _search(self, queries: Queries) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        import numpy as np

        vectors = np.ascontiguousarray(queries.vectors(), np.float32)
        similarity, near = self._index.search(vectors, self._k)
        return similarity, near


_TEXT = 200
_SAME = 0.9999


def build_index(vectors: NDArray[Any]) -> Any:
    """Return an index by inner product: every row while they are few, else a graph (HNSW)."""
    import faiss

    rows, width = vectors.shape
    if rows <= _EXACT_ROWS:
        index: Any = faiss.IndexFlatIP(width)
    else:
        index = faiss.IndexHNSWFlat(width, _LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = _BUILD_BREADTH
        index.hnsw.efSearch = _BREADTH
    index.add(vectors)
    return index


def _without_itself(near: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
    """Return neighbours without the row itself, or the last where it was not found."""
    import numpy as np

    itself = near == rows[:, None]
    itself[~itself.any(axis=1), -1] = True
    kept: NDArray[Any] = near[~itself].reshape(len(near), near.shape[1] - 1)
    return np.ascontiguousarray(kept)


def _scalar(number: float) -> NDArray[Any]:
    import numpy as np

    return np.array([number])


def _packed(texts: tuple[str, ...] | None) -> dict[str, NDArray[Any]]:
    """Return the start of each text as bytes and where each ends."""
    import numpy as np

    if texts is None:
        return {}
    parts = [text[:_TEXT].encode("utf-8", "replace") for text in texts]
    return {
        "texts": np.frombuffer(b"".join(parts) or b" ", np.uint8),
        "text_ends": np.cumsum([len(part) for part in parts]),
    }


def _unpacked(state: Mapping[str, NDArray[Any]]) -> tuple[str, ...] | None:
    if "texts" not in state:
        return None
    whole, ends = state["texts"].tobytes(), state["text_ends"]
    starts = [0, *ends[:-1]]
    return tuple(
        whole[start:end].decode("utf-8", "replace") for start, end in zip(starts, ends, strict=True)
    )
