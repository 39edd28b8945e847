"""Votes and cascades fitted on a recorded table, and judged on another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from motet.composer.fitted.answers import best_form, candidates
from motet.composer.fitted.ballots import FittedBallots
from motet.composer.fitted.belief import Belief, fit_belief
from motet.composer.fitted.policy import Run, run
from motet.composer.fitted.tasks import TaskTeller
from motet.errors import TableError
from motet.lab.compositions.courses import OnRows, search
from motet.lab.compositions.outcome import Replies, best_single
from motet.progress import Progress, silent
from motet.tables.recorded import Recorded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Rows = NDArray[np.intp]

_PENALTY = 3.0
_DRAWS = 6
"""Random sets of experts a question, from which a cascade's belief learns of partial votes."""
_INNER, _OUTER = 4, 5
_PRICES = 14
"""Prices of a USD that a fit looks at, on a log scale."""
_TOLERANCE = 0.7
"""Standard errors by which an accuracy may miss its aim."""
_BETWEEN = 4
"""Prices more between the one chosen and the next beyond it."""
_CHEAPEST, _DEAREST = 0.015, 0.3
"""Bounds of that scale: what the best single expert's mean cost is charged, in accuracy."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What a cascade is fitted to.

    Attributes
    ----------
    kind
        `accuracy`: the least cost that reaches it; `cost`: the most accuracy within it.
    value
        Accuracy in [0, 1] or USD a question; None for that of the best single expert. Its accuracy
        is cross-validated too: chosen on some rows, judged on others.
    margin
        Accuracy asked for above an accuracy. One that falls short by no more than 0.7 of its own
        standard error will do: so little cannot be told from noise.
    """

    kind: Literal["accuracy", "cost"]
    value: float | None = None
    margin: float = 0.0


@dataclass(frozen=True, slots=True)
class Point:
    """What a price came to on questions that were not learned from.

    Attributes
    ----------
    lam
        The price: accuracy a USD.
    accuracy, cost
        Mean over tasks, and USD a question.
    outcome
        On each question.
    smooth
        The accuracy made to grow with the cost over all prices: what one is chosen by.
    """

    lam: float
    accuracy: float
    cost: float
    smooth: float = 0.0
    outcome: Replies | None = field(default=None, compare=False, repr=False)


def fit_vote(table: Recorded, *, seed: int = 0) -> FittedBallots:
    """Return a vote of all experts of a table, fitted on all its rows.

    Raises
    ------
    TableError
        The table has no answers.
    """
    return _fitted(table, draws=0, seed=seed)


def fit_cascade(
    table: Recorded, aim: Aim, *, seed: int = 0, progress: Progress = silent
) -> tuple[FittedBallots, list[Point], Point]:
    """Return a cascade fitted to an aim, what each price came to, and the price chosen.

    What a price comes to is cross-validated whole, search included; courses are then searched on
    all rows at the price chosen.

    Raises
    ------
    TableError
        The table has no answers or costs, or nothing reaches the aim; what does is told.
    """
    import numpy as np

    if table.routing.costs is None:
        raise TableError(
            f"{table.routing.name}: a cascade needs costs, and there is no 'cost:<expert>' column."
        )
    single = best_single(table.routing)
    paid = float(table.routing.costs[:, single].mean())
    prices = [float(p) for p in np.geomspace(_CHEAPEST, _DEAREST, _PRICES) / max(paid, 1e-12)]
    parts = []
    for number, (known, held) in enumerate(folds_of(table, _OUTER, seed)):
        progress("learning from folds", number, _OUTER)
        part = table.take(known)
        parts.append((part, held, table.take(held), *_searched(part, seed)))

    def tried(lams: list[float], stage: str) -> list[Point]:
        points = []
        for number, lam in enumerate(lams):
            progress(stage, number, len(lams))
            runs = [
                (held, follow(_with_courses(base, rows, part, lam), test))
                for part, held, test, base, rows in parts
            ]
            points.append(_point(table, lam, runs))
        return points

    single_replies = _single(table, seed)
    points = _smoothed(tried(prices, "searching"))
    chosen = _chosen(points, aim, table, single_replies)
    # Once more between what will do and the next that will not.
    dearer = aim.kind == "cost"
    beyond = [p for p in points if (p.cost > chosen.cost if dearer else p.cost < chosen.cost)]
    if beyond:
        edge = min(beyond, key=lambda point: abs(point.cost - chosen.cost))
        between = np.geomspace(chosen.lam, edge.lam, _BETWEEN + 2)[1:-1]
        points = _smoothed([*points, *tried([float(p) for p in between], "searching closer")])
        chosen = _chosen(points, aim, table, single_replies)
    progress("fitting", 0, 0)
    base, rows = _searched(table, seed)
    return _with_courses(base, rows, table, chosen.lam), points, chosen


def follow(fitted: FittedBallots, table: Recorded) -> Run:
    """Return what a fitted vote or cascade comes to on a table of its experts; costs in USD.

    The tasks of questions are told from their queries; the table's own are not looked at.
    """
    import numpy as np

    scores = table.routing.scores.astype(np.float64)
    costs = table.routing.costs
    paid = np.zeros_like(scores) if costs is None else costs.astype(np.float64)
    tasks, given = fitted.read(table.queries, answers_of(table))
    right = given.right(scores)
    everybody = tuple(range(len(fitted.experts)))
    score, cost, calls, chance = np.zeros((4, len(table)))
    for task in range(len(fitted.forms)):
        rows = np.flatnonzero(tasks == task)
        best = OnRows(
            [fitted.belief],
            np.zeros(len(rows), np.intp),
            given.take(rows),
            tasks[rows],
            right[rows],
        )
        if fitted.courses:
            said = run(fitted.courses[task], best, paid[rows])
        else:
            chances, scored = best(everybody)
            said = Run(
                scored, paid[rows].sum(axis=1), np.full(len(rows), 1.0 * len(everybody)), chances
            )
        score[rows], cost[rows] = said.score, said.cost
        calls[rows], chance[rows] = said.calls, said.chance
    return Run(score, cost, calls, chance)


def outcome(fitted: FittedBallots, table: Recorded) -> Replies:
    """Return the same as an outcome, to be judged beside its controls."""
    said = follow(fitted, table)
    cost = None if table.routing.costs is None else said.cost
    return Replies("", said.score, cost, said.calls, said.chance)


def cross_validated_vote(table: Recorded, *, seed: int = 0, progress: Progress = silent) -> Replies:
    """Return what votes come to, each fitted on four fifths of the rows, on the fifth."""
    import numpy as np

    score, cost, calls = np.zeros((3, len(table)))
    for number, (known, held) in enumerate(folds_of(table, _OUTER, seed)):
        progress("cross-validating", number, _OUTER)
        said = follow(fit_vote(table.take(known), seed=seed), table.take(held))
        score[held], cost[held], calls[held] = said.score, said.cost, said.calls
    return Replies("", score, None if table.routing.costs is None else cost, calls)


def answers_of(table: Recorded) -> tuple[tuple[str, ...], ...]:
    """Return the short answers of a table.

    Raises
    ------
    TableError
        It has none.
    """
    if table.answers is None:
        raise TableError(
            f"{table.routing.name}: votes need an 'answer:<expert>' column of every expert."
        )
    return table.answers


def _fitted(
    table: Recorded, *, draws: int, seed: int, teller: TaskTeller | None = None
) -> FittedBallots:
    import numpy as np

    answers, names = answers_of(table), table.routing.tasks
    teller = teller or TaskTeller.fit(table.queries, names, seed)
    of = np.array([teller.names.index(name) for name in names])
    forms = tuple(
        best_form(
            [answers[row] for row in np.flatnonzero(of == task)], table.routing.scores[of == task]
        )
        for task in range(len(teller.names))
    )
    empty = Belief(np.zeros((0, 0)))
    fitted = FittedBallots(experts=table.experts, teller=teller, forms=forms, belief=empty)
    tasks, given = fitted.read(table.queries, answers)
    belief = fit_belief(
        given,
        given.right(table.routing.scores),
        tasks,
        len(forms),
        draws=draws,
        penalty=_PENALTY,
        seed=seed,
    )
    return replace(fitted, belief=belief)


def _searched(table: Recorded, seed: int) -> tuple[FittedBallots, list[OnRows]]:
    """Return a cascade without courses, and by task the rows to search them on.

    The beliefs that the rows are judged by, and the tasks they are told to be of, come from other
    rows than they: a cascade will not have seen its questions either.
    """
    import numpy as np

    whole = _fitted(table, draws=_DRAWS, seed=seed)
    tasks = np.zeros(len(table), np.intp)
    folds = np.zeros(len(table), np.intp)
    beliefs = []
    for fold, (known, held) in enumerate(folds_of(table, _INNER, seed + 1)):
        part = _fitted(table.take(known), draws=_DRAWS, seed=seed)
        names = [whole.teller.names.index(name) for name in part.teller.names]
        tasks[held] = np.array(names)[part.teller.tell([table.queries[row] for row in held])]
        folds[held] = fold
        weights = whole.belief.weights.copy()
        weights[names] = part.belief.weights  # a task that is not in these rows keeps the whole's
        beliefs.append(Belief(weights))
    given = candidates(answers_of(table), table.queries, [whole.forms[task] for task in tasks])
    right = given.right(table.routing.scores)
    rows = [np.flatnonzero(tasks == task) for task in range(len(whole.forms))]
    return whole, [
        OnRows(beliefs, folds[own], given.take(own), tasks[own], right[own], own) for own in rows
    ]


def _with_courses(
    base: FittedBallots, rows: Sequence[OnRows], table: Recorded, lam: float
) -> FittedBallots:
    """Return a cascade with the best courses at a price, each task's searched on its own."""
    import numpy as np

    assert table.routing.costs is not None
    costs = table.routing.costs.astype(np.float64)
    courses = []
    for own in rows:
        # Accuracy is a mean over tasks and cost one over questions: in a task with many questions
        # each counts less for accuracy.
        price = lam * len(rows) * len(own) / len(table)
        courses.append(search(own, costs[own.rows], price))
    return replace(base, courses=tuple(courses))


def folds_of(table: Recorded, count: int, seed: int) -> list[tuple[Rows, Rows]]:
    """Return pairs of rows to learn from and rows held out; every task's rows are spread evenly."""
    import numpy as np

    random = np.random.default_rng(seed)
    fold = np.zeros(len(table), np.intp)
    tasks = np.array(table.routing.tasks)
    _, group = np.unique(np.array(table.queries, dtype=object), return_inverse=True)
    for task in np.unique(tasks):
        groups = np.unique(group[tasks == task])
        place = dict(zip(groups, random.permutation(len(groups)) % count, strict=True))
        for row in np.flatnonzero(tasks == task):
            fold[row] = place[group[row]]
    return [(np.flatnonzero(fold != at), np.flatnonzero(fold == at)) for at in range(count)]


def _point(table: Recorded, lam: float, runs: Sequence[tuple[Rows, Run]]) -> Point:
    import numpy as np

    from motet.lab.routers.metrics import Tasks

    score, cost, calls = np.zeros((3, len(table)))
    for rows, said in runs:
        score[rows], cost[rows], calls[rows] = said.score, said.cost, said.calls
    accuracy = float(Tasks.read(table.routing.tasks).means(score).mean())
    return Point(lam, accuracy, float(cost.mean()), outcome=Replies("", score, cost, calls))


def _smoothed(points: list[Point]) -> list[Point]:
    """Return points with accuracies that grow with cost, by isotonic regression.

    Single accuracies are noisy, and the best of many noisy ones disappoints.
    """
    from sklearn.isotonic import IsotonicRegression

    costs, accuracies = [p.cost for p in points], [p.accuracy for p in points]
    smooth = IsotonicRegression().fit_transform(costs, accuracies)
    return [replace(p, smooth=float(value)) for p, value in zip(points, smooth, strict=True)]


def _single(table: Recorded, seed: int) -> Replies:
    """Return what the best single expert comes to, chosen on some rows and judged on others."""
    import numpy as np

    assert table.routing.costs is not None
    score, cost = np.zeros((2, len(table)))
    for known, held in folds_of(table, _OUTER, seed):
        column = best_single(table.routing.take(known))
        score[held] = table.routing.scores[held, column]
        cost[held] = table.routing.costs[held, column]
    return Replies("best_single", score, cost)


def _chosen(points: list[Point], aim: Aim, table: Recorded, single: Replies) -> Point:
    """Return the point that meets the aim best.

    Parameters
    ----------
    single
        Of the best single expert, for aims that name no value.

    Raises
    ------
    TableError
        None does.
    """
    from motet.lab.routers.metrics import Tasks

    assert single.cost is not None
    if aim.kind == "accuracy":
        means = Tasks.read(table.routing.tasks).means(single.score)
        wanted = float(means.mean()) if aim.value is None else aim.value
        error = float(single.score.std()) / len(table) ** 0.5
        least = wanted + aim.margin - _TOLERANCE * error
        if enough := [point for point in points if point.smooth >= least]:
            return min(enough, key=lambda point: point.cost)
        best = max(points, key=lambda point: point.smooth)
        told = f"an accuracy of {wanted:.4f}; the best is {best.smooth:.4f}"
    else:
        wanted = float(single.cost.mean()) if aim.value is None else aim.value
        if enough := [point for point in points if point.cost <= wanted]:
            return max(enough, key=lambda point: (point.smooth, -point.cost))
        cheap = min(points, key=lambda point: point.cost)
        told = f"{wanted:.4g} USD a question; the least is {cheap.cost:.4g}"
    raise TableError(
        f"{table.routing.name}: no cascade of these experts reaches {told}.",
        hint="Ask for less, or add experts to the pool.",
    )
