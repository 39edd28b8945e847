"""Rankers of texts fitted on a recorded table, and judged on another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from motet.composer.fitted.ranking import FittedRanker, Trees
from motet.composer.fitted.texts import measures
from motet.errors import TableError
from motet.lab.compositions.ballots import folds_of
from motet.lab.routers.bootstrap import Figure, Resamples
from motet.lab.routers.metrics import Tasks
from motet.progress import Progress, silent
from motet.tables.recorded import Recorded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_FOLDS = 5
_INVERSE_PENALTY = 0.03
_TREES: dict[str, Any] = {
    "max_iter": 120,
    "learning_rate": 0.05,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 20,
    "l2_regularization": 5.0,
    "max_features": 0.4,
}
_ENSEMBLES = 3
_TOLD_APART = 0.1
"""Scores closer than this say little of which text is better."""


def fit_ranker(
    table: Recorded, *, knows_authors: bool, seed: int = 0, measured: Floats | None = None
) -> FittedRanker:
    """Return a ranker of the texts of a table.

    Parameters
    ----------
    measured
        `measured_texts(table)`, where it is there already.

    Raises
    ------
    TableError
        The table has no texts, or its experts always score the same.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    scores = table.routing.scores.astype(np.float64)
    seen = measured_texts(table) if measured is None else measured
    flat = seen.reshape(-1, seen.shape[-1])
    columns = range(len(table.experts))
    empty = np.zeros(0)
    nodes = np.zeros(0, np.int64)
    none = Trees(roots=nodes, feature=nodes, cut=empty, low=nodes, high=nodes, value=empty)
    ranker = FittedRanker(
        experts=table.experts,
        knows_authors=knows_authors,
        centre=flat.mean(axis=0),
        spread=flat.std(axis=0) + 1e-9,
        weights=empty,
        trees=none,
        scales=np.ones(2),
    )
    read = [ranker.inputs(each, columns) for each in seen]
    linear, full = (np.stack([each[part] for each in read]) for part in range(2))
    one, other = np.triu_indices(len(columns), 1)
    better = (scores[:, one] - scores[:, other]).ravel()
    apart = (linear[:, one] - linear[:, other]).reshape(len(better), -1)[better != 0]
    better = better[better != 0] > 0
    if not len(better):
        raise TableError(f"{table.routing.name}: all texts score the same, so none is better.")
    # Each pair both ways round: whoever comes first is no better for it.
    model = LogisticRegression(C=_INVERSE_PENALTY, fit_intercept=False, max_iter=500)
    model.fit(np.concatenate([apart, -apart]), np.concatenate([better, ~better]))
    ranks = scores.argsort(axis=1).argsort(axis=1) / max(len(columns) - 1, 1) - 0.5
    target = ranks + scores - scores.mean(axis=1, keepdims=True)
    trees = _boosted(full.reshape(-1, full.shape[-1]), target.ravel(), seed)
    weights = model.coef_[0]
    spread = [
        float(part.std()) or 1.0
        for part in (linear @ weights, trees.predict(full.reshape(-1, full.shape[-1])))
    ]
    return replace(ranker, weights=weights, trees=trees, scales=np.array(spread))


def measured_texts(table: Recorded) -> Floats:
    """Return `[questions, experts, 32]` measures of a table's texts.

    Raises
    ------
    TableError
        There are none.
    """
    import numpy as np

    if table.texts is None:
        raise TableError(
            f"{table.routing.name}: a ranker reads a 'text:<expert>' column of every expert.",
            hint="Name a pool of experts that have one.",
        )
    pairs = zip(table.queries, table.texts, strict=True)
    return np.stack([measures(query, texts) for query, texts in pairs])


def ranked(ranker: FittedRanker, table: Recorded) -> Floats:
    """Return `[questions, experts]` scores of a table's texts.

    Raises
    ------
    TableError
        It has none.
    """
    import numpy as np

    if table.texts is None:
        raise TableError(f"{table.routing.name}: there is no 'text:<expert>' of every expert.")
    pairs = zip(table.queries, table.texts, strict=True)
    return np.stack([ranker.scores(query, texts, table.experts) for query, texts in pairs])


def cross_validated_ranker(
    table: Recorded, *, knows_authors: bool, seed: int = 0, progress: Progress = silent
) -> Floats:
    """Return `[questions, experts]` scores by rankers that have not seen the question."""
    import numpy as np

    said = np.zeros(table.routing.scores.shape)
    for number, (known, held) in enumerate(folds_of(table, _FOLDS, seed)):
        progress("cross-validating", number, _FOLDS)
        made = fit_ranker(table.take(known), knows_authors=knows_authors, seed=seed)
        said[held] = ranked(made, table.take(held))
    return said


def ranking_figures(table: Recorded, said: Floats, best: int, seed: int = 0) -> dict[str, Figure]:
    """Return the share of pairs in the right order and the mean score of the first, with controls.

    Pairs count whose scores are more than 0.1 apart, a mean over questions that have any; one that
    is tied is half right. The controls are the longest text, the author that is best on the table
    fitted on, and the oracle.

    Parameters
    ----------
    said
        `[questions, experts]` scores of the ranker.
    best
        The column of that author.
    """
    import numpy as np

    scores = table.routing.scores.astype(np.float64)
    assert table.texts is not None
    lengths = np.array([[len(text) for text in texts] for texts in table.texts], np.float64)
    rows = np.arange(len(table))
    one, other = np.triu_indices(scores.shape[1], 1)
    better = scores[:, one] - scores[:, other]
    apart = np.sign(better) * (np.abs(better) > _TOLD_APART)
    count = (apart != 0).sum(axis=1)

    def right(ranking: Floats) -> Floats:
        agreed = apart * np.sign(ranking[:, one] - ranking[:, other])
        return np.asarray(((agreed + 1) / 2 * (apart != 0)).sum(axis=1) / count.clip(1))

    values = {
        "pick_score_mean": scores[rows, said.argmax(axis=1)],
        "longest_pick_score_mean": scores[rows, lengths.argmax(axis=1)],
        "best_single_pick_score_mean": scores[:, best],
        "oracle_pick_score_mean": scores.max(axis=1),
    }
    ordered = {"pairs_right": right(said), "longest_pairs_right": right(lengths)}

    def judge(weights: NDArray[Any]) -> dict[str, Any]:
        told = (weights @ (count > 0)).clip(1e-9)
        return {name: weights @ own / told for name, own in ordered.items()} | {
            name: weights @ own / weights.sum(axis=1) for name, own in values.items()
        }

    return Resamples(Tasks.read(table.routing.tasks), seed=seed).judge(judge)


def _boosted(inputs: Floats, target: Floats, seed: int) -> Trees:
    """Return several boosted ensembles as one, their mean."""
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingRegressor

    parts: list[Any] = []
    for number in range(_ENSEMBLES):
        model = HistGradientBoostingRegressor(**_TREES, random_state=seed + number)
        model.fit(inputs, target)
        parts += [stage[0].nodes for stage in model._predictors]
    starts = np.cumsum([0, *(len(nodes) for nodes in parts)])
    nodes = np.concatenate(parts)
    start = np.repeat(starts[:-1], np.diff(starts))
    leaf = nodes["is_leaf"].astype(bool)
    return Trees(
        roots=starts[:-1].astype(np.int64),
        feature=np.where(leaf, -1, nodes["feature_idx"]).astype(np.int64),
        cut=np.where(leaf, 0.0, nodes["num_threshold"]),
        low=start + np.where(leaf, 0, nodes["left"]).astype(np.int64),
        high=start + np.where(leaf, 0, nodes["right"]).astype(np.int64),
        value=np.where(leaf, nodes["value"], 0.0) / _ENSEMBLES,
    )
