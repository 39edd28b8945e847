"""Whom a cascade asks in turn, and when it stops: the decision that live and recorded share.

For each task a sequence of experts and a threshold. After each answer the belief says how likely
the best answer so far is right; at the threshold or above it is kept, else the next expert is
asked. An answer is weighed anew with every other that comes, so that a later expert can overrule an
earlier, and two cheap ones a dear one.

Sources: FrugalGPT (arXiv:2305.05176) for sequences fitted to a budget, cascade routing
(arXiv:2410.10347) for estimating each answer anew from all that was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Best(Protocol):
    """Tells of a set of experts, given as columns, how their best answers stand."""

    def __call__(self, asked: tuple[int, ...], /) -> tuple[Floats, Floats]:
        """Return `[questions]` chances that the best answer is right, and what it scores."""


@dataclass(frozen=True, slots=True)
class Course:
    """What a cascade does on questions of one task.

    Attributes
    ----------
    experts
        Columns, in the order they are asked.
    threshold
        The chance of being right at which an answer is kept.
    hopeless
        The chance at or below which going on would not help: the answer is kept, and marked unsure.
        0 where going on always helps.
    """

    experts: tuple[int, ...]
    threshold: float
    hopeless: float = 0.0

    def goes_on(self, chance: Floats | float) -> Any:
        """Return whether the next expert is asked where the best answer has this chance."""
        return (self.hopeless <= chance) & (chance < self.threshold)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What courses come to on questions, each `[questions]`.

    Attributes
    ----------
    score, cost
        Of the answer kept, and of all that were asked; in the unit of the costs given.
    calls
        How many experts were asked.
    chance
        How likely the answer kept was thought to be right.
    """

    score: Floats
    cost: Floats
    calls: Floats
    chance: Floats


def run(course: Course, best: Best, costs: Floats) -> Run:
    """Follow a course on questions.

    Parameters
    ----------
    costs
        `[questions, experts]`.
    """
    import numpy as np

    rows = len(costs)
    live = np.ones(rows, dtype=bool)
    score, cost, calls, chance = np.zeros((4, rows))
    for turn, expert in enumerate(course.experts):
        if turn:
            live &= course.goes_on(chance)
        if not live.any():
            break
        chances, scores = best(course.experts[: turn + 1])
        score, chance = np.where(live, scores, score), np.where(live, chances, chance)
        cost += live * costs[:, expert]
        calls += live
    return Run(score, cost, calls, chance)
