"""The choices of a router as money matters more and more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Ints = NDArray[np.integer]


def prices() -> Floats:
    """Return the prices of money, `lambda`, of a curve: from none to all that counts."""
    import numpy as np

    return np.concatenate([[0.0], np.geomspace(1e-4, 1e3, 57)])


def sweep(quality: Floats, cost: Floats | None) -> Ints | None:
    """Return the expert chosen at each price, `[prices, rows]`; None without costs.

    Parameters
    ----------
    quality, cost
        `[rows, experts]`; expected score and USD.
    """
    import numpy as np

    if cost is None:
        return None
    normal = cost / cost.max()
    return np.stack([(quality - price * normal).argmax(axis=1) for price in prices()])
