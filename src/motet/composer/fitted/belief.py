"""How likely each answer is right, given who gives it and who was asked.

A conditional logit. An answer's weight is the sum of those of the experts who give it, plus what
its form says; "none of these is right" has a weight from everybody who was asked. The softmax over
them are the chances. Weights differ by task, and are drawn to what all tasks share:

    w_t = w + d_t,    loss = -sum log p(right answer) + a/2 (|w|^2 + 3 sum_t |d_t|^2)

With one weight an expert it is the weighted vote of Nitzan and Paroush (1982), fitted rather than
assumed independent: experts that err together get less weight than their accuracies say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from motet.composer.fitted.answers import SIGNS, Candidates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Rows = NDArray[np.intp]

_MORE = 4 + len(SIGNS)
"""Weights beside those of experts: count, more than one, constant, bare, the signs."""
_APART = 3.0
"""How much more a task's own deviation is penalised than what tasks share."""
_STEPS = 200


@dataclass(frozen=True, eq=False)
class Belief:
    """A fitted conditional logit.

    Attributes
    ----------
    weights
        `[tasks, 2 * experts + 11]`: of who gives an answer, of who was asked (for "none"), of how
        many give it (log, more than one), the constant, without words, the signs, and of how many
        were asked (log, for "none").
    """

    weights: Floats

    @property
    def experts(self) -> int:
        """How many experts it knows."""
        return int(self.weights.shape[1] - _MORE - 1) // 2

    def chances(self, given: Candidates, tasks: Rows, asked: Sequence[int]) -> Floats:
        """Return `[questions, candidates]`: how likely each is right; 0 where nobody gives it.

        Parameters
        ----------
        tasks
            `[questions]`; the number of each question's task.
        asked
            Columns of the experts asked, the same for all questions; answers of others are not
            looked at.
        """
        import numpy as np

        experts = self.experts
        own = self.weights[tasks]
        more = own[:, 2 * experts :]
        weight = np.zeros(given.signs.shape[:2])
        count, bare = np.zeros_like(weight), np.zeros_like(weight)
        for expert in asked:
            gives = np.flatnonzero(given.number[:, expert] >= 0)
            at = gives, given.number[gives, expert]
            weight[at] += own[gives, expert]
            count[at] += 1
            bare[at] += given.bare[gives, expert]
        weight += more[:, :1] * np.log(count.clip(1)) + more[:, 1:2] * (count > 1) + more[:, 2:3]
        weight += more[:, 3:4] * bare / count.clip(1)
        weight += np.einsum("rcs,rs->rc", given.signs, more[:, 4 : 4 + len(SIGNS)])
        weight = np.where(count > 0, weight, -np.inf)
        none = own[:, [experts + expert for expert in asked]].sum(axis=1)
        none += more[:, -1] * np.log(max(len(asked), 1))
        most = np.maximum(weight.max(axis=1), none)
        power = np.exp(weight - most[:, None])
        chances: Floats = power / (power.sum(axis=1) + np.exp(none - most))[:, None]
        return chances


def fit_belief(
    given: Candidates,
    right: Floats,
    tasks: Rows,
    count: int,
    *,
    draws: int,
    penalty: float,
    seed: int,
) -> Belief:
    """Return the belief of most likelihood.

    Parameters
    ----------
    right
        `[questions, candidates]` scores; one of a half or more is right.
    tasks, count
        `[questions]` task numbers, and how many tasks there are.
    draws
        Random sets of experts asked for each question, of sizes drawn on a log scale; 0 takes all
        experts, once.
    penalty
        `a` of the loss.
    """
    import numpy as np
    from scipy.optimize import minimize

    parts = []
    random = np.random.default_rng(seed)
    for task in range(count):
        rows = np.flatnonzero(tasks == task)
        if len(rows):
            parts.append((task, *_choices(given, right, rows, draws, random)))
    width = 2 * given.number.shape[1] + _MORE + 1

    def loss(flat: Floats) -> tuple[float, Floats]:
        shared, apart = flat[:width], flat[width:].reshape(count, width)
        value = penalty / 2 * float((shared**2).sum() + _APART * (apart**2).sum())
        slope = np.concatenate([penalty * shared, (penalty * _APART * apart).ravel()])
        for task, inputs, starts, of, target in parts:
            weight = inputs @ (shared + apart[task])
            weight -= np.maximum.reduceat(weight, starts)[of]
            power = np.exp(weight)
            total = np.add.reduceat(power, starts)[of]
            value -= float((target * (weight - np.log(total))).sum()) / max(draws, 1)
            down = inputs.T @ (target - power / total) / max(draws, 1)
            slope[:width] -= down
            slope[width * (1 + task) : width * (2 + task)] -= down
        return value, slope

    learned = minimize(
        loss,
        np.zeros(width * (1 + count)),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _STEPS},
    ).x
    return Belief(learned[:width] + learned[width:].reshape(count, width))


def _choices(
    given: Candidates, right: Floats, rows: Rows, draws: int, random: Any
) -> tuple[Floats, Rows, Rows, Floats]:
    """Return the alternatives of each question in turn, "none of these" the last of each.

    Returns
    -------
    `[alternatives, weights]` inputs, the first alternative of each choice, `[alternatives]` the
    number of its choice, and `[alternatives]` 1 for what is right.
    """
    import numpy as np

    experts = given.number.shape[1]
    inputs: list[Floats] = []
    sizes: list[int] = []
    target: list[float] = []
    for _ in range(max(draws, 1)):
        for row in rows:
            asked = np.arange(experts)
            if draws:
                size = int(np.exp(random.uniform(0, np.log(experts + 1))))
                asked = random.permutation(experts)[: max(size, 1)]
            number = given.number[row, asked]
            seen = [each for each in dict.fromkeys(number.tolist()) if each >= 0]
            for each in seen:
                inputs.append(_input(given, row, each, asked[number == each]))
            none = np.zeros(2 * experts + _MORE + 1)
            none[experts + asked] = 1
            none[-1] = np.log(len(asked))
            inputs.append(none)
            target.extend(_right_one(right[row, seen]))
            sizes.append(len(seen) + 1)
    starts = np.cumsum([0, *sizes[:-1]])
    return np.array(inputs), starts, np.repeat(np.arange(len(sizes)), sizes), np.array(target)


def _right_one(scores: Floats) -> list[float]:
    """Return 1 for the answer of the highest score, or for "none" where that is below a half."""
    best = int(scores.argmax()) if len(scores) and scores.max() >= 0.5 else len(scores)
    return [float(at == best) for at in range(len(scores) + 1)]


def _input(given: Candidates, row: int, number: int, by: Rows) -> Floats:
    import numpy as np

    experts = given.number.shape[1]
    made = np.zeros(2 * experts + _MORE + 1)
    made[by] = 1
    bare = given.bare[row, by].mean()
    made[2 * experts : 2 * experts + 4] = np.log(len(by)), len(by) > 1, 1, bare
    made[2 * experts + 4 : -1] = given.signs[row, number]
    return made
