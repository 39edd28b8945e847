"""An expertise tree: questions about a query, and who is good below each answer.

Expertise Trees (arXiv 2303.01656) partition queries where different experts are best. A split is
kept only where it lowers the regret on queries that it was not chosen on.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pydantic import Field, NonNegativeFloat, PositiveInt

from motet.config import Options
from motet.routers.learned import features
from motet.routers.learned.base import Estimate, Estimator, Queries
from motet.routers.learned.folds import advantage
from motet.tables.routing import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[Any]

_LEAF = -1
_CUTS = 15


class TreeConfig(Options):
    """Hyperparameters of `tree`."""

    depth: PositiveInt = 7
    """Most questions to a leaf."""
    leaf_rows: PositiveInt = 40
    """Least queries of the table on each side of a split."""
    components: PositiveInt = 32
    """Principal components of the embeddings that may be asked about."""
    prior_rows: NonNegativeFloat = 20.0
    """Rows that the parent's means count for in a node."""
    held_out: float = Field(default=0.35, gt=0, lt=1)
    """Share of the queries that splits are tested on."""


class Tree(Estimator):
    """Expects of each expert its mean scores in the query's leaf."""

    Config = TreeConfig
    options: TreeConfig

    def fit(self, queries: Queries, table: Table, seed: int) -> None:
        """Split by some rows, keep the splits that help on the others, then take all means."""
        import numpy as np

        vectors = queries.vectors().astype(np.float64)
        mean = vectors.mean(axis=0)
        values, axes = np.linalg.eigh((vectors - mean).T @ (vectors - mean))
        order = np.argsort(-values, kind="stable")[: self.options.components]
        self.learned = {"mean": mean, "axes": axes[:, order]}
        inputs = self._inputs(queries)
        grow = np.random.default_rng(seed).random(len(table)) >= self.options.held_out
        scores = table.scores.astype(np.float64)
        rows = np.arange(len(table))
        root, _ = self._grow(inputs, scores, grow, rows, scores.mean(axis=0), 0)
        self.learned |= _arrays(root)

    def predict(self, queries: Queries) -> Estimate:
        """Return the means of leaves."""
        import numpy as np

        leaves = self._paths(queries)[-1]
        return Estimate(
            quality=self.learned["quality"][leaves].astype(np.float32),
            error=self.learned["error"][leaves].astype(np.float32),
        )

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Show the questions on the way to the leaf."""
        inputs = self._inputs(queries)[0]
        path = [int(level[0]) for level in self._paths(queries)]
        asked = [self._question(a, inputs) for a, b in pairwise(path) if a != b]
        return {
            "path": asked,
            "leaf_rows": int(self.learned["rows"][path[-1]]),
            "reason": " and ".join(asked) or "no question helps",
        }

    def text(self, experts: tuple[str, ...]) -> str:
        """Return the whole tree, one node a line, with the best expert of each leaf."""
        lines: list[str] = []

        def show(node: int, depth: int, answer: str) -> None:
            rows = int(self.learned["rows"][node])
            feature = int(self.learned["feature"][node])
            best = experts[int(self.learned["quality"][node].argmax())]
            quality = self.learned["quality"][node].max()
            words = f"{best} {quality:.2f}" if feature == _LEAF else f"{_name(feature)}?"
            lines.append(f"{'  ' * depth}{answer}{words} ({rows} queries)")
            if feature != _LEAF:
                cut = self.learned["cut"][node]
                show(int(self.learned["low"][node]), depth + 1, f"<= {cut:.3g}: ")
                show(int(self.learned["high"][node]), depth + 1, f"> {cut:.3g}: ")

        show(0, 0, "")
        return "\n".join(lines)

    def remove(self, column: int) -> None:
        """Drop an expert's means; the questions stay."""
        self.drop(column, "quality", "error")

    def add(self, queries: Queries, table: Table, seed: int) -> None:
        """Take the new expert's means in the nodes that are here."""
        import numpy as np

        scores = table.scores.astype(np.float64)
        count = len(self.learned["rows"])
        mean, error = np.zeros((count, 1)), np.zeros((count, 1))
        above = scores.mean(axis=0)
        paths = np.stack(self._paths(queries))
        for node in range(count):  # parents come before their children
            rows = np.flatnonzero((paths == node).any(axis=0))
            parent = self._parent(node)
            prior = above if parent is None else mean[parent]
            mean[node], error[node] = self._means(scores[rows], prior)
        self.append(quality=mean, error=error)

    def _parent(self, node: int) -> int | None:
        import numpy as np

        for side in ("low", "high"):
            parents = np.flatnonzero(self.learned[side] == node)
            if node and len(parents):
                return int(parents[0])
        return None

    def _grow(
        self,
        inputs: Floats,
        scores: Floats,
        grow: NDArray[np.bool_],
        rows: NDArray[np.intp],
        prior: Floats,
        depth: int,
    ) -> tuple[_Node, float]:
        """Return the node of these rows and what its choices score on held-out rows in all.

        It is split as far as may be; on the way back a split stays where it scored more.
        """
        quality, error = self._means(scores[rows], prior)
        own, other = rows[grow[rows]], rows[~grow[rows]]
        choice = int(self._means(scores[own], prior)[0].argmax())
        alone = _Node(quality, error, len(rows)), float(scores[other, choice].sum())
        if depth == self.options.depth or len(own) < 2 * self.options.leaf_rows:
            return alone
        feature, cut = _best_split(inputs[own], advantage(scores[own]), self.options.leaf_rows)
        if feature == _LEAF:
            return alone
        low = inputs[rows, feature] <= cut
        below, below_worth = self._grow(inputs, scores, grow, rows[low], quality, depth + 1)
        above, above_worth = self._grow(inputs, scores, grow, rows[~low], quality, depth + 1)
        if below_worth + above_worth <= alone[1]:
            return alone
        split = _Node(quality, error, len(rows), feature, cut, below, above)
        return split, below_worth + above_worth

    def _means(self, scores: Floats, prior: Floats) -> tuple[Floats, Floats]:
        """Return means drawn towards the parent's, and their standard errors."""
        import numpy as np

        rows = len(scores) + self.options.prior_rows
        mean = (scores.sum(axis=0) + self.options.prior_rows * prior) / max(rows, 1)
        square = (scores**2).sum(axis=0) + self.options.prior_rows * prior**2
        variance = (square / max(rows, 1) - mean**2).clip(0) + 1 / (rows + 2)
        return mean, np.sqrt(variance / max(rows, 1))

    def _inputs(self, queries: Queries) -> Floats:
        """Return `[queries, components + measures]`; measures are 0 without texts."""
        import numpy as np

        turned = (queries.vectors().astype(np.float64) - self.learned["mean"]) @ self.learned[
            "axes"
        ]
        texts = queries.texts or ("",) * len(turned)
        return np.concatenate([features.shape(texts), turned], axis=1)

    def _paths(self, queries: Queries) -> list[NDArray[np.intp]]:
        """Return each query's node at every depth."""
        import numpy as np

        learned, inputs = self.learned, self._inputs(queries)
        node = np.zeros(len(inputs), np.intp)
        paths = [node]
        for _ in range(self.options.depth):
            feature = learned["feature"][node]
            value = inputs[np.arange(len(inputs)), feature.clip(0)]
            below = np.where(
                value <= learned["cut"][node], learned["low"][node], learned["high"][node]
            )
            node = np.where(feature == _LEAF, node, below)
            paths.append(node)
        return paths

    def _question(self, node: int, inputs: Floats) -> str:
        feature, cut = int(self.learned["feature"][node]), float(self.learned["cut"][node])
        sign = "<=" if inputs[feature] <= cut else ">"
        return f"{_name(feature)} {sign} {cut:.3g}"


@dataclass(eq=False)
class _Node:
    """A node; a leaf where `feature` is -1."""

    quality: Floats
    error: Floats
    rows: int
    feature: int = _LEAF
    cut: float = 0.0
    low: _Node | None = None
    high: _Node | None = None


def _arrays(root: _Node) -> dict[str, Floats]:
    """Return a tree as arrays by node, parents before their children."""
    import numpy as np

    nodes = [root]
    for node in nodes:  # grows while it is read
        nodes += [child for child in (node.low, node.high) if child is not None]
    number = {id(node): at for at, node in enumerate(nodes)}
    return {
        "quality": np.stack([node.quality for node in nodes]),
        "error": np.stack([node.error for node in nodes]),
        "rows": np.array([node.rows for node in nodes]),
        "feature": np.array([node.feature for node in nodes]),
        "cut": np.array([node.cut for node in nodes]),
        "low": np.array([number.get(id(node.low), _LEAF) for node in nodes]),
        "high": np.array([number.get(id(node.high), _LEAF) for node in nodes]),
    }


def _best_split(inputs: Floats, target: Floats, least: int) -> tuple[int, float]:
    """Return the feature and cut that explain most of the variance of `target`."""
    import numpy as np

    rows = len(inputs)
    places = np.unique(np.linspace(least, rows - least, _CUTS).astype(int))
    whole = target.sum(axis=0)
    split, most = (_LEAF, 0.0), float((whole**2).sum() / rows) + 1e-9
    for feature in range(inputs.shape[1]):
        order = np.argsort(inputs[:, feature], kind="stable")
        values = inputs[order, feature]
        low = target[order].cumsum(axis=0)[places - 1]
        worth = (low**2).sum(axis=1) / places + ((whole - low) ** 2).sum(axis=1) / (rows - places)
        worth[values[places - 1] == values[places]] = -np.inf  # equal values go one way
        best = int(worth.argmax())
        if worth[best] > most:
            cut = (values[places[best] - 1] + values[places[best]]) / 2
            split, most = (feature, float(cut)), float(worth[best])
    return split


def _name(feature: int) -> str:
    names = features.shape_names()
    return names[feature] if feature < len(names) else f"component {feature - len(names)}"
