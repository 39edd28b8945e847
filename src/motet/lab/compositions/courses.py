"""The search for a cascade's course: whom to ask in which order, and when an answer is kept.

For a price `lam` of a USD in accuracy, beams grow sequences expert by expert under each of a few
thresholds; the one of most value wins. What an answer is worth is taken by half from the
belief, fitted on other rows, and by half from its own score: scores of a few hundred
questions are noisy enough that a search over thousands of sequences finds luck in them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from motet.composer.fitted.answers import Candidates
from motet.composer.fitted.belief import Belief
from motet.composer.fitted.policy import Best, Course, run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Rows = NDArray[np.intp]

THRESHOLDS = (0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.96, 0.98)
HOPELESS = (0.1, 0.15, 0.2, 0.25, 0.3)
_BEAMS, _LONGEST = 3, 9
_BELIEVED = 0.5
"""Share of an answer's worth that the belief tells; the rest is its score."""
_GAIN = 5e-4
"""A course is kept over a simpler one for at least so much value."""
_LEAST_LIVE = 0.01
"""Share of questions below which a course is not made longer."""


class OnRows:
    """How the best answers of sets of experts stand on rows of a table; each set once.

    Parameters
    ----------
    beliefs
        One a fold; rows of fold `f` are judged by `beliefs[f]`, which has not seen them.
    folds
        `[questions]`.
    rows
        `[questions]`; where they stand in their table.
    """

    def __init__(
        self,
        beliefs: list[Belief],
        folds: Rows,
        given: Candidates,
        tasks: Rows,
        right: Floats,
        rows: Rows | None = None,
    ) -> None:
        import numpy as np

        self.rows = np.arange(len(given)) if rows is None else rows
        self._parts = [
            (belief, rows, given.take(rows), tasks[rows], right[rows])
            for fold, belief in enumerate(beliefs)
            if len(rows := (folds == fold).nonzero()[0])
        ]
        self._known: dict[frozenset[int], tuple[Floats, Floats]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def __call__(self, asked: tuple[int, ...], /) -> tuple[Floats, Floats]:
        """Return `[questions]` chances and scores of the best answers; see `policy.Best`."""
        import numpy as np

        key = frozenset(asked)
        if key not in self._known:
            chance, score = np.zeros((2, len(self)))
            for belief, rows, given, tasks, right in self._parts:
                chances = belief.chances(given, tasks, sorted(key))
                best = chances.argmax(axis=1), np.arange(len(rows))
                chance[rows] = chances[best[1], best[0]]
                score[rows] = np.where(chance[rows] > 0, right[best[1], best[0]], 0.0)
            self._known[key] = chance, score
        return self._known[key]

    def worth(self, asked: tuple[int, ...], /) -> tuple[Floats, Floats]:
        """Return chances, and what the best answers are taken to be worth in a search."""
        chance, score = self(asked)
        return chance, _BELIEVED * chance + (1 - _BELIEVED) * score


def search(rows: OnRows, costs: Floats, lam: float) -> Course:
    """Return the course of most mean worth less `lam` times its mean cost.

    Parameters
    ----------
    costs
        `[questions, experts]`.
    """
    best_course, most = Course((0,), 0.0), float("-inf")
    for threshold in THRESHOLDS:
        course, value = _grown(rows, costs, lam, threshold)
        if value > most + _GAIN:
            best_course, most = course, value
    for hopeless in HOPELESS:
        if hopeless < best_course.threshold:
            other = replace(best_course, hopeless=hopeless)
            value = _value(other, rows.worth, costs, lam)
            if value > most + _GAIN:
                best_course, most = other, value
    return best_course


def _grown(rows: OnRows, costs: Floats, lam: float, threshold: float) -> tuple[Course, float]:
    """Return the best sequence under one threshold, and its value."""
    import numpy as np

    count, experts = costs.shape
    nothing = np.zeros(count)
    beams: list[tuple[tuple[int, ...], Floats, Floats]] = [((), nothing, nothing)]
    best_course, most = Course((0,), threshold), float("-inf")
    for _ in range(min(_LONGEST, experts)):
        grown: dict[frozenset[int], tuple[float, tuple[int, ...], Floats, Floats]] = {}
        for sequence, worth, cost in beams:
            live = _alive(rows, sequence, threshold, count)
            if live.mean() < _LEAST_LIVE:
                continue
            for expert in set(range(experts)).difference(sequence):
                longer = (*sequence, expert)
                new = np.where(live, rows.worth(longer)[1], worth)
                paid = cost + live * costs[:, expert]
                value = float((new - lam * paid).mean())
                key = frozenset(longer)
                if key not in grown or value > grown[key][0]:
                    grown[key] = value, longer, new, paid
        best = sorted(grown.values(), key=lambda each: (-each[0], each[1]))[:_BEAMS]
        if not best:
            break
        if best[0][0] > most + _GAIN:
            most, best_course = best[0][0], Course(best[0][1], threshold)
        beams = [(sequence, new, paid) for _, sequence, new, paid in best]
    return best_course, most


def _alive(
    rows: OnRows, sequence: tuple[int, ...], threshold: float, count: int
) -> NDArray[np.bool_]:
    """Return which questions ask on after `sequence`: no answer on the way was kept."""
    import numpy as np

    live = np.ones(count, dtype=bool)
    for turn in range(1, len(sequence) + 1):
        live &= rows.worth(sequence[:turn])[0] < threshold
    return live


def _value(course: Course, best: Best, costs: Floats, lam: float) -> float:
    said = run(course, best, costs)
    return float((said.score - lam * said.cost).mean())
