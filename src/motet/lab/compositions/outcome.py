"""What a composition comes to on a recorded table, beside its controls, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from motet.lab.routers.bootstrap import Figure, Resamples
from motet.lab.routers.metrics import Tasks, auroc, calibration_error, over_queries, over_tasks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motet.tables.routing import Table

    Floats = NDArray[np.float64]

ACCURACY, COST = "accuracy_mean_over_tasks", "cost_mean"
_COST_THOUSAND = "cost_per_thousand_questions"


@dataclass(frozen=True, eq=False)
class Replies:
    """What was answered to each question.

    Attributes
    ----------
    name
        Of the composition or control; empty for the one that is judged.
    score, cost, calls
        `[questions]`; USD, None where the table has no costs.
    chance
        `[questions]`; how likely each answer was thought to be right, where that is told.
    """

    name: str
    score: Floats
    cost: Floats | None
    calls: Floats | None = None
    chance: Floats | None = None


def controls(table: Table, best: int | None = None) -> list[Replies]:
    """Return the best single expert, and the oracle: the cheapest of those who do best.

    Parameters
    ----------
    best
        The column of the best single expert as chosen on another table; on this one when None.
    """
    import numpy as np

    scores = table.scores.astype(np.float64)
    costs = np.zeros_like(scores) if table.costs is None else table.costs.astype(np.float64)
    column = best_single(table) if best is None else best
    rows = np.arange(len(table))
    oracle = np.where(scores == scores.max(axis=1, keepdims=True), costs, np.inf).argmin(axis=1)
    picks = {"best_single": np.full(len(table), column), "oracle": oracle}
    return [
        Replies(name, scores[rows, pick], None if table.costs is None else costs[rows, pick])
        for name, pick in picks.items()
    ]


def best_single(table: Table) -> int:
    """Return the column of the expert that is best in the mean over tasks."""
    return int(Tasks.read(table.tasks).means(table.scores).mean(axis=0).argmax())


def figures(table: Table, outcomes: list[Replies], seed: int = 0) -> dict[str, Figure]:
    """Return accuracies (means over tasks), costs (means over questions) and calls, by name.

    Where answers say how likely they are right, also how well that tells right from wrong (AUROC)
    and how far it is from what came true (ECE).

    All are judged on the same resamples of the questions, drawn within each task.
    """
    tasks = Tasks.read(table.tasks)

    def judge(weights: NDArray[Any]) -> Mapping[str, Any]:
        said: dict[str, Any] = {}
        for each in outcomes:
            prefix = f"{each.name}_" if each.name else ""
            said[prefix + ACCURACY] = over_tasks(each.score, tasks, weights)
            if each.cost is not None:
                said[prefix + COST] = over_queries(each.cost, weights)
                said[prefix + _COST_THOUSAND] = 1000 * said[prefix + COST]
            if each.calls is not None:
                said[prefix + "calls_mean"] = over_queries(each.calls, weights)
            if each.chance is not None:
                said[prefix + "confidence_auroc"] = auroc(each.chance, each.score, weights)
                said[prefix + "confidence_ece"] = calibration_error(
                    each.chance[:, None], each.score[:, None], weights
                )
        return said

    return Resamples(tasks, seed=seed).judge(judge)


def figures_json(said: Mapping[str, Figure]) -> dict[str, Any]:
    """Return figures as JSON, as reports of routers have them.

    Each is a number under its own name, with `_low` and `_high` beside it, and its bounds once more
    under `intervals`.
    """
    flat: dict[str, Any] = {}
    for name, figure in said.items():
        flat |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    bounds = {name: {"low": figure.low, "high": figure.high} for name, figure in said.items()}
    return {**flat, "intervals": bounds}
