"""The choices of a router as money matters more and more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from motet.routers.learned.base import Estimate
from motet.routers.learned.decide import Terms, rank

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.integer]

LAMBDAS = 58
"""Prices of money on a curve; with more of them its area moves by less than 0.001."""


def sweep(estimate: Estimate, experts: Sequence[str]) -> Ints | None:
    """Return the expert chosen at each lambda, `[lambdas, rows]`; None without costs.

    Lambda runs from 0, where only quality counts, to where only cost does.
    """
    import numpy as np

    if estimate.cost is None:
        return None
    scale = float(np.nanmean(estimate.cost, axis=0).max()) or 1.0
    lambdas = (0.0, *np.geomspace(1e-4, 1e3, LAMBDAS - 1))
    terms = [Terms(lam=float(lam), scale=scale) for lam in lambdas]
    return np.stack([rank(estimate, experts, each).chosen for each in terms])
