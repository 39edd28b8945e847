"""Which category a query belongs to: probabilities from its words and its embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from motet.routers.learned import features
from motet.routers.learned.base import Queries

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    Labels = NDArray[np.intp]
    Floats = NDArray[np.float64]

_WORDS_ALPHA, _VECTORS_ALPHA = 3.0, 3.0
_FOLDS = 3


class Classifier:
    """One-against-all ridge scores of words and of embeddings, made probabilities.

    The scores of held-out rows are what a multinomial logistic regression turns into
    probabilities, so these are calibrated for queries not seen before.

    Parameters
    ----------
    state
        Arrays that `fit` made.
    """

    def __init__(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.state = dict(state)

    @classmethod
    def fit(cls, queries: Queries, labels: Labels, categories: int, seed: int) -> Classifier:
        """Learn from `[rows]` category numbers; at least two of `categories` occur."""
        import numpy as np
        from sklearn.linear_model import LogisticRegression

        one_hot = np.eye(categories)[labels]
        fold = np.random.default_rng(seed).permutation(len(labels)) % _FOLDS
        held_out = np.zeros((len(labels), 0))
        for number in range(_FOLDS):
            known, held = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            if not len(known) or not len(held):
                continue
            scores = _scores(_fit(queries.take(known), one_hot[known]), queries.take(held))
            if not held_out.shape[1]:
                held_out = np.zeros((len(labels), scores.shape[1]))
            held_out[held] = scores
        state = _fit(queries, one_hot)
        scale = held_out.std(axis=0).clip(1e-6)
        model = LogisticRegression(C=10.0, max_iter=300).fit(held_out / scale, labels)
        # Of two classes scikit-learn keeps one row of weights; of absent ones none.
        weights = np.zeros((categories, held_out.shape[1]))
        base = np.full(categories, -30.0)
        if len(model.classes_) == 2:
            weights[model.classes_[1]] = model.coef_[0]
            base[model.classes_] = 0.0, model.intercept_[0]
        else:
            weights[model.classes_], base[model.classes_] = model.coef_, model.intercept_
        return cls({**state, "to_chance": (weights / scale).T, "to_chance_base": base})

    def predict(self, queries: Queries) -> Floats:
        """Return `[queries, categories]` probabilities."""
        from scipy.special import softmax

        scores = _scores(self.state, queries)
        chances: Floats = softmax(
            scores @ self.state["to_chance"] + self.state["to_chance_base"], axis=1
        )
        return chances


def _fit(queries: Queries, target: Floats) -> dict[str, NDArray[Any]]:
    import numpy as np

    mean = target.mean(axis=0)
    state: dict[str, NDArray[Any]] = {"prior": mean}
    if queries.texts is not None:
        counted = features.counts(queries)
        state["rare"] = features.rarity(counted)
        rows = features.weighted(counted, state["rare"])
        state["words"] = features.ridge(rows, target - mean, _WORDS_ALPHA)
    if queries.embeddings is not None:
        vectors = queries.embeddings.astype(np.float64)
        state["centre"] = vectors.mean(axis=0)
        centred = vectors - state["centre"]
        scatter = centred.T @ centred + _VECTORS_ALPHA * np.eye(vectors.shape[1])
        state["vectors"] = np.linalg.solve(scatter, centred.T @ (target - mean))
    return state


def _scores(state: Mapping[str, NDArray[Any]], queries: Queries) -> Floats:
    """Return `[queries, categories]` of the words beside those of the embeddings."""
    import numpy as np

    parts = []
    if "words" in state:
        rows = features.weighted(features.counts(queries), state["rare"])
        parts.append(rows @ state["words"] + state["prior"])
    if "vectors" in state:
        centred = queries.vectors().astype(np.float64) - state["centre"]
        parts.append(centred @ state["vectors"] + state["prior"])
    scores: Floats = np.concatenate(parts, axis=1).astype(np.float64)
    return scores
