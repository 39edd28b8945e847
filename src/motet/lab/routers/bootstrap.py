"""Confidence intervals by a paired, stratified bootstrap.

Rows are drawn with replacement inside each task, so that a resample has as many rows of every task
as the table has. All contestants are judged on the same resamples: a difference between two of
them is a difference on the same questions.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, percentile intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from motet.lab.routers.metrics import Tasks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

Figures = Callable[["Floats"], Mapping[str, "Floats"]]
"""From weights `[draws, rows]` to figures by name, `[draws]` each."""

_ELEMENTS = 8_000_000
"""Of a block of weights: 32 MB."""


@dataclass(frozen=True)
class Figure:
    """One number and its interval.

    Attributes
    ----------
    value
        None where the table does not define it: a cost without cost columns, or a quality that no
        price reaches.
    low, high
        Bounds of the 95% interval; None where the value is, or where it was not resampled.
    """

    value: float | None
    low: float | None = None
    high: float | None = None


class Resamples:
    """Draws of a table's rows.

    Parameters
    ----------
    draws
        How many resamples; 1,000 settle the bounds of a 95% interval to a few percent of its width.
    """

    def __init__(self, tasks: Tasks, draws: int = 1000, seed: int = 0) -> None:
        import numpy as np

        random = np.random.default_rng(seed)
        rows = len(tasks.of)
        self._counts = np.zeros((draws, rows), dtype=np.uint8)
        for task in range(len(tasks.names)):
            members = np.flatnonzero(tasks.of == task)
            size = len(members)
            drawn = random.integers(size, size=(draws, size))
            flat = drawn + np.arange(draws)[:, None] * size
            counts = np.bincount(flat.ravel(), minlength=draws * size).reshape(draws, size)
            # A row drawn 256 times or more does not occur: it is Poisson with mean 1.
            self._counts[:, members] = counts

    def judge(self, figures: Figures) -> dict[str, Figure]:
        """Return each figure with its 95% interval."""
        import numpy as np

        draws, rows = self._counts.shape
        values = figures(np.ones((1, rows), dtype=np.float32))
        step = max(1, _ELEMENTS // rows)
        blocks = [
            figures(self._counts[start : start + step].astype(np.float32))
            for start in range(0, draws, step)
        ]
        return {
            name: _figure(float(value[0]), np.concatenate([block[name] for block in blocks]))
            for name, value in values.items()
        }


def _figure(value: float, draws: Floats) -> Figure:
    import numpy as np

    if not np.isfinite(value):
        return Figure(None)
    defined = draws[~np.isnan(draws)]
    # Draws may be infinite (a quality never reached), which interpolation would turn to NaN.
    low, high = np.quantile(defined, [0.025, 0.975], method="inverted_cdf")
    return Figure(value, _finite(low), _finite(high))


def _finite(value: float) -> float | None:
    import numpy as np

    return float(value) if np.isfinite(value) else None
