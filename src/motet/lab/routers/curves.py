"""Curves that a router is judged by: quality against cost, and against the share of strong calls.

Everything is vectorised over `weights`, `[draws, rows]`: how often each row of the table counts.
A row of ones gives the figure itself, a resample of the rows one draw of its bootstrap.

References
----------
Hu et al., "RouterBench", 2024: AIQ, the mean height of the non-decreasing convex hull.
Ong et al., "RouteLLM", 2024: PGR, APGR and CPT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

_STEPS = 500
"""Of a share-of-strong-calls curve at most: finer ones change no digit that is shown."""


def hull(costs: Floats, qualities: Floats) -> tuple[Floats, Floats]:
    """Return the non-decreasing upper convex hull of points, from the cheapest to the best.

    A point between two others on the hull is reached by mixing the two at random, and one to the
    right of the best by not spending the rest.

    Parameters
    ----------
    costs, qualities
        `[points]` each.

    Returns
    -------
    tuple
        Costs and qualities of the corners, both strictly increasing.
    """
    import numpy as np

    corners: list[tuple[float, float]] = []
    for at in np.lexsort((-qualities, costs)):
        cost, quality = float(costs[at]), float(qualities[at])
        if corners and quality <= corners[-1][1]:
            continue
        while len(corners) > 1 and _slope(corners[-2], (cost, quality)) >= _slope(*corners[-2:]):
            corners.pop()
        corners.append((cost, quality))
    points = np.array(corners)
    return points[:, 0], points[:, 1]


def _slope(one: tuple[float, float], other: tuple[float, float]) -> float:
    return (other[1] - one[1]) / (other[0] - one[0])


def aiq(costs: Floats, qualities: Floats, least: float, most: float) -> float:
    """Return the average improvement in quality: the hull's mean height from `least` to `most`.

    Parameters
    ----------
    costs, qualities
        `[points]` of one router at different prices of money. The first must cost no more than
        `least`, or the curve would not be defined there; the cheapest expert alone serves.
    least, most
        USD; what the cheapest and the dearest expert cost. The same for all routers of a table.
    """
    import numpy as np

    xs, ys = hull(costs, qualities)
    if most <= least:
        return float(np.interp(least, xs, ys))
    inside = xs[(xs > least) & (xs < most)]
    grid = np.concatenate([[least], inside, [most]])
    return float(np.trapezoid(np.interp(grid, xs, ys), grid) / (most - least))


def cost_of(quality: float, costs: Floats, qualities: Floats) -> float:
    """Return the least cost at which the hull of the points has `quality`; infinite if never."""
    import numpy as np

    xs, ys = hull(costs, qualities)
    if quality > ys[-1]:
        return float("inf")
    return float(np.interp(quality, ys, xs))


def gap_recovered(preference: Floats, gain: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return the performance gap recovered at every share of calls to the strong expert.

    PGR is 0 when all calls go to the weak expert and 1 when all go to the strong one; rows go to
    the strong expert in the order of `preference`. Rows of equal preference move together, which
    is what a random order among them gives on average.

    Parameters
    ----------
    preference
        `[rows]`; the higher, the sooner the row goes to the strong expert.
    gain
        `[rows]`; score of the strong expert less that of the weak one.
    weights
        `[draws, rows]`.

    Returns
    -------
    tuple
        Shares in [0, 1] and PGR, `[draws, points]` each; PGR is NaN where there is no gap.
    """
    import numpy as np

    order = np.argsort(-preference, kind="stable")
    starts = np.append(0, np.flatnonzero(np.diff(preference[order])) + 1)
    starts = starts[:: len(starts) // _STEPS + 1]
    ordered = weights[:, order]
    calls = np.add.reduceat(ordered, starts, axis=1).cumsum(axis=1, dtype=np.float64)
    gains = np.add.reduceat(ordered * gain[order], starts, axis=1).cumsum(axis=1, dtype=np.float64)
    start = np.zeros((len(weights), 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        recovered = np.where(gains[:, -1:] > 0, gains / gains[:, -1:], np.nan)
    return np.hstack([start, calls / calls[:, -1:]]), np.hstack([start, recovered])


def apgr(shares: Floats, recovered: Floats) -> Floats:
    """Return the average PGR over all shares of strong calls, `[draws]`; 0.5 is a random order."""
    import numpy as np

    return np.asarray(np.trapezoid(recovered, shares, axis=1))


def cpt(shares: Floats, recovered: Floats, percent: float) -> Floats:
    """Return the least share of strong calls that recovers `percent` of the gap, `[draws]`."""
    import numpy as np

    wanted = percent / 100
    reached = recovered >= wanted
    last = np.maximum(reached.argmax(axis=1), 1)
    rows = np.arange(len(shares))
    low, high = recovered[rows, last - 1], recovered[rows, last]
    left, right = shares[rows, last - 1], shares[rows, last]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares_at = left + (right - left) * (wanted - low) / (high - low)
    return np.where(reached.any(axis=1), shares_at, np.nan)
