"""A fitted ranker of whole texts: which of several answers is better.

Two scores of measures of a text beside the others', each in units of its spread: a linear one, of
which the difference of two texts is the log-odds that the one is better, and boosted trees. Both
see the answers relative to each other, so that the order in which they come changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motet.composer.fitted import folder
from motet.composer.fitted.texts import WIDTH, measures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_LENGTH = 0
"""The measure that is also seen in proportion to the question's length."""
_QUESTION = WIDTH - 1


@dataclass(frozen=True, eq=False)
class Trees:
    """Regression trees as arrays by node, all trees' nodes in one row.

    Attributes
    ----------
    roots
        `[trees]` numbers of their first nodes.
    feature, cut, low, high, value
        `[nodes]`; `feature` is -1 in a leaf, which has a `value`; at most `cut` goes to `low`.
    """

    roots: NDArray[np.int64]
    feature: NDArray[np.int64]
    cut: Floats
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    value: Floats

    def predict(self, inputs: Floats) -> Floats:
        """Return `[rows]` sums over trees, of `[rows, features]`."""
        import numpy as np

        node = np.broadcast_to(self.roots, (len(inputs), len(self.roots))).copy()
        rows = np.arange(len(inputs))[:, None]
        for _ in range(len(self.feature)):  # ends sooner: a tree is no deeper than it has nodes
            feature = self.feature[node]
            inner = feature >= 0
            if not inner.any():
                break
            below = inputs[rows, feature.clip(0)] <= self.cut[node]
            node = np.where(inner, np.where(below, self.low[node], self.high[node]), node)
        total: Floats = self.value[node].sum(axis=1)
        return total


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedRanker:
    """Scores of texts, comparable among the answers to one question.

    Attributes
    ----------
    experts
        The authors that it was fitted on.
    knows_authors
        Whether it is told who wrote a text; else any expert's texts may be ranked.
    """

    experts: tuple[str, ...]
    knows_authors: bool
    centre: Floats
    spread: Floats
    weights: Floats
    trees: Trees
    scales: Floats

    def scores(self, query: str, texts: Sequence[str], authors: Sequence[str]) -> Floats:
        """Return `[texts]` scores; the difference of two is how much better the one is.

        Parameters
        ----------
        authors
            Who wrote each. One that was not fitted on counts as an average one.
        """
        columns = [self.experts.index(a) if a in self.experts else -1 for a in authors]
        linear, full = self.inputs(measures(query, texts), columns)
        parts = linear @ self.weights / self.scales[0], self.trees.predict(full) / self.scales[1]
        total: Floats = parts[0] + parts[1]
        return total

    def inputs(self, measured: Floats, authors: Sequence[int]) -> tuple[Floats, Floats]:
        """Return what the linear score and the trees read of the answers to one question.

        Parameters
        ----------
        measured
            `[texts, 32]`; see `texts.measures`.
        authors
            Columns of the experts, -1 for others.
        """
        import numpy as np

        plain = (measured - self.centre) / self.spread
        beside = plain - plain.mean(axis=0)
        parts = [beside, plain[:, _QUESTION:] * beside[:, _LENGTH : _LENGTH + 4]]
        if self.knows_authors:
            # Several times as wide as a measure: an author's mean is worth more than any of them.
            identity = np.vstack([np.eye(len(self.experts)), np.zeros(len(self.experts))])
            parts.append(3 * (identity[list(authors)] - 1 / len(self.experts)))
        linear = np.concatenate(parts, axis=1)
        return linear, np.concatenate([linear, plain], axis=1)

    @classmethod
    def load(cls, place: Path) -> FittedRanker:
        """Return the one in a folder; see `folder.read` for what it raises."""
        cover, arrays = folder.read(place, "rank")
        nodes = {name.removeprefix("trees."): a for name, a in arrays.items() if "." in name}
        return cls(
            experts=tuple(cover.experts),
            knows_authors=bool(cover.facts["author"] == "known"),
            trees=Trees(**nodes),
            **{name: array for name, array in arrays.items() if "." not in name},
        )

    def save(self, place: Path, fitted: dict[str, Any]) -> folder.Cover:
        """Write it; `fitted` says how it came about."""
        names = ("centre", "spread", "weights", "scales")
        arrays = {name: getattr(self, name) for name in names}
        trees = {f"trees.{name}": array for name, array in vars(self.trees).items()}
        cover = folder.Cover(
            motet=version("motet"),
            kind="rank",
            experts=list(self.experts),
            facts={"author": "known" if self.knows_authors else "hidden"},
            fitted=fitted,
        )
        return folder.write(place, cover, arrays | trees)
