"""Which expert answers which category, within a budget of parameters: an exact optimum.

Composition of Experts (arXiv 2412.01868): with `pi_c` the share of queries in category c and
`s_ce` the score of expert e there, maximise

    sum_c pi_c sum_e s_ce x_ce   where   sum_e x_ce = 1,   x_ce <= y_e,
    sum_e size_e y_e <= budget,   sum_c pi_c sum_e size_e x_ce <= active budget
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from motet.errors import TableError

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def best_map(
    scores: Floats,
    share: Floats,
    sizes: Floats | None = None,
    *,
    budget: float | None = None,
    active_budget: float | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the expert of each category, and which experts are needed at all.

    Parameters
    ----------
    scores
        `[categories, experts]` expected scores.
    share
        `[categories]` shares of queries; they sum to 1.
    sizes
        `[experts]`, in the unit of the budgets; None without budgets.
    budget
        Most that all chosen experts may hold together.
    active_budget
        Most that the answering expert may hold on average over queries.

    Raises
    ------
    TableError
        No expert fits the budget.
    """
    import numpy as np

    if sizes is None or (budget is None and active_budget is None):
        chosen = scores.argmax(axis=1)
        return chosen, np.isin(np.arange(scores.shape[1]), chosen)
    if sizes.min() > min(budget or np.inf, active_budget or np.inf):
        least = min(filter(None, (budget, active_budget)))
        raise TableError(f"No expert fits a budget of {least:g}; the smallest is {sizes.min():g}.")
    solution = _solve(scores, share, sizes, budget, active_budget)
    categories, experts = scores.shape
    chosen = solution[: categories * experts].reshape(categories, experts).argmax(axis=1)
    return chosen, np.isin(np.arange(experts), chosen)


def _solve(
    scores: Floats,
    share: Floats,
    sizes: Floats,
    budget: float | None,
    active_budget: float | None,
) -> Floats:
    """Return `[categories * experts + experts]`: every x, then every y."""
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import block_array, coo_array, eye_array, kron

    categories, experts = scores.shape
    pairs = categories * experts
    one_each = kron(eye_array(categories), np.ones((1, experts)), format="csr")
    none = coo_array((categories, experts))
    only_built = [eye_array(pairs), -kron(np.ones((categories, 1)), eye_array(experts))]
    constraints = [
        LinearConstraint(block_array([[one_each, none]], format="csr"), 1, 1),
        LinearConstraint(block_array([only_built], format="csr"), -np.inf, 0),
    ]
    if budget is not None:
        row: NDArray[Any] = np.concatenate([np.zeros(pairs), sizes])
        constraints.append(LinearConstraint(row[None], -np.inf, budget))
    if active_budget is not None:
        row = np.concatenate([(share[:, None] * sizes).ravel(), np.zeros(experts)])
        constraints.append(LinearConstraint(row[None], -np.inf, active_budget))
    # A needless expert is not built: it costs a little, far less than any score is worth.
    worth = np.concatenate([(share[:, None] * scores).ravel(), np.full(experts, -1e-9)])
    whole = np.ones(pairs + experts)
    if active_budget is None:  # then x is whole by itself, and the search is over y alone
        whole[:pairs] = 0
    solved = milp(-worth, constraints=constraints, bounds=Bounds(0, 1), integrality=whole)
    if solved.x is None:
        raise TableError(f"No map keeps to the budgets: {solved.message}")
    solution: Floats = solved.x
    return solution


def steadied(sums: Floats, rows: NDArray[Any], families: NDArray[Any], prior_rows: float) -> Floats:
    """Return `[categories, experts]` means, those of few rows drawn towards their family's.

    Only who is better than the others is drawn; how hard a category is stays as measured.

    Parameters
    ----------
    sums
        `[categories, experts]` of scores.
    rows
        `[categories]` counts, none of them 0.
    families
        `[categories]` numbers of groups of related categories.
    prior_rows
        Rows that the family's mean counts for.
    """
    import numpy as np

    count = rows[:, None].astype(np.float64)
    means = sums / count
    level = means.mean(axis=1, keepdims=True)
    better = means - level
    expected = np.zeros_like(better)
    for family in np.unique(families):
        own = families == family
        expected[own] = (better[own] * count[own]).sum(axis=0) / count[own].sum()
    believed = count / (count + prior_rows)
    steady: Floats = level + believed * better + (1 - believed) * expected
    return steady


def joined(
    means: Floats, rows: Floats, level: Floats, families: NDArray[Any], prior_rows: float
) -> Floats:
    """Return `[categories]` means of one more expert, steadied beside those that are there.

    Parameters
    ----------
    means, rows
        `[categories]` of its scores, and how many rows they are of: those without rows are
        expected to be like their family, or like all.
    level
        `[categories]` mean of the others, which stays.
    families, prior_rows
        As in `steadied`.
    """
    import numpy as np

    better = np.where(rows > 0, means - level, 0.0)
    expected = np.full(len(means), (better * rows).sum() / rows.sum())
    for family in np.unique(families):
        own = families == family
        if rows[own].sum() > 0:
            expected[own] = (better[own] * rows[own]).sum() / rows[own].sum()
    believed = rows / (rows + prior_rows) if prior_rows else (rows > 0).astype(np.float64)
    steady: Floats = level + believed * better + (1 - believed) * expected
    return steady
