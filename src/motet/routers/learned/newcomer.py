"""What a new expert is asked first, and what its answers say of all that it was not asked.

How well it answers is taken for a Gaussian process over the rows of a table. Two rows are alike as
far as they are of one task, the known experts did alike on them, and their embeddings are alike:
that is how correct answers to a few "anchor points" stand for a whole benchmark (tinyBenchmarks,
arXiv 2402.14992), and how a hundred answers place a new model in IRT-Router (arXiv 2506.01048).
Rows are chosen one after the other, each the one whose answer takes the most uncertainty off all
rows together: active learning as in Cohn, Ghahramani and Jordan (1996), which for such a process
does not depend on the answers, so that all can be asked at once. Rows on which known experts
disagree, and tasks that nothing is known of, come first by themselves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from motet.routers.learned.costs import CostModel
from motet.tables.routing import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Ints = NDArray[np.integer]

_LEVEL = 0.3
"""How much all rows share, beside what those of one task, of like scores or like texts do: 1."""
_NOISE = 4.0
"""How much of one answer is chance, in the same unit."""
_CANDIDATES = 1500
"""Rows that are chosen among: time goes with their square."""


class Newcomer:
    """The rows of a table as a new expert meets them.

    Parameters
    ----------
    table
        What known experts did.
    embeddings
        `[rows, width]` of its queries; None where there are none.
    """

    def __init__(self, table: Table, embeddings: Floats | None = None) -> None:
        self._table = table
        self._features = _features(table, embeddings)

    def choose(self, count: int, among: Sequence[int] | None = None, seed: int = 0) -> Ints:
        """Return the rows to ask, `[count]` or all there are, what tells most first.

        Parameters
        ----------
        among
            Rows that can be asked; None for all.
        seed
            Which of them are looked at where there are many.
        """
        import numpy as np

        rows = np.arange(len(self._table)) if among is None else np.asarray(among, int)
        drawn = np.random.default_rng(seed).permutation(len(rows))[: max(_CANDIDATES, count)]
        rows = rows[np.sort(drawn)]
        features = self._features[rows]
        unsure = features @ features.T
        chosen: list[int] = []
        for _ in range(min(count, len(rows))):
            gains = (unsure**2).sum(axis=1) / (unsure.diagonal() + _NOISE)
            gains[chosen] = -1.0
            best = int(gains.argmax())
            chosen.append(best)
            seen = unsure[best] / (unsure[best, best] + _NOISE) ** 0.5
            unsure -= np.outer(seen, seen)
        return rows[chosen]

    def complete(self, rows: Ints, answers: Table) -> Table:
        """Return the new expert's column of the whole table.

        It has the scores, costs and times of its answers where there are some, and what they let
        expect everywhere else.

        Parameters
        ----------
        rows
            Which rows were asked.
        answers
            A table of the one expert with these rows.
        """
        import numpy as np

        asked = self._features[rows]
        scores = answers.scores[:, 0].astype(np.float64)
        mean = scores.mean()
        alike = asked @ asked.T + _NOISE * np.eye(len(rows))
        weights = asked.T @ np.linalg.solve(alike, scores - mean)
        expected = (mean + self._features @ weights).clip(0, 1)[:, None]
        costs = latencies = None
        if answers.costs is not None:
            costs = CostModel.fit(answers).predict(self._table.queries, len(self._table))
        if answers.latencies is not None:
            latencies = np.full_like(expected, answers.latencies.mean())
        for whole, part in (
            (expected, answers.scores),
            (costs, answers.costs),
            (latencies, answers.latencies),
        ):
            if whole is not None and part is not None:
                whole[rows] = part
        return replace(
            self._table,
            name=f"{self._table.name}, {len(rows)} of {len(self._table)} rows asked",
            experts=answers.experts,
            scores=expected.astype(np.float32),
            costs=None if costs is None else costs.astype(np.float32),
            latencies=None if latencies is None else latencies.astype(np.float32),
        )


def _features(table: Table, embeddings: Floats | None) -> Floats:
    """Return `[rows, features]` whose products say how alike two rows are."""
    import numpy as np

    names, of_task = np.unique(np.array(table.tasks), return_inverse=True)
    scores = table.scores - table.scores.mean(axis=0, dtype=np.float64)
    scores /= table.scores.std(axis=0, dtype=np.float64).clip(1e-3) * scores.shape[1] ** 0.5
    parts = [np.full((len(table), 1), _LEVEL**0.5), np.eye(len(names))[of_task], scores]
    if embeddings is not None:
        vectors = embeddings - embeddings.mean(axis=0)
        parts.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9))
    return np.hstack(parts)
