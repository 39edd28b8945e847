"""Figures of plain arrays: means over queries and tasks, calibration.

`weights` is `[draws, rows]`, how often each row counts; see `bootstrap.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Ints = NDArray[np.integer]

BINS = 10


@dataclass(frozen=True, eq=False)
class Tasks:
    """The tasks of a table's rows.

    Attributes
    ----------
    names
        Sorted, each once.
    of
        `[rows]`; the number of each row's task.
    """

    names: tuple[str, ...]
    of: Ints

    @classmethod
    def read(cls, tasks: Sequence[str]) -> Tasks:
        """Return the tasks of rows, given one name a row."""
        import numpy as np

        names, of = np.unique(np.array(tasks, dtype=object).astype(str), return_inverse=True)
        return cls(tuple(map(str, names)), of)

    @property
    def sizes(self) -> Ints:
        """Rows of each task, `[tasks]`."""
        import numpy as np

        return np.bincount(self.of, minlength=len(self.names))

    @property
    def share(self) -> Floats:
        """What each row counts in a mean over tasks, `[rows]`; all together are 1."""
        import numpy as np

        return np.asarray((1.0 / (len(self.names) * self.sizes))[self.of])

    def means(self, values: Floats) -> Floats:
        """Return the mean of each task, `[tasks, ...]`, of `values`, `[rows, ...]`."""
        import numpy as np

        sums = np.zeros((len(self.names), *values.shape[1:]))
        np.add.at(sums, self.of, values)
        return np.asarray(sums / self.sizes.reshape(-1, *[1] * (values.ndim - 1)))


def over_queries(values: Floats, weights: Floats) -> Floats:
    """Return the mean over queries of `values`, `[rows, ...]`, as `[draws, ...]`."""
    import numpy as np

    return np.asarray(weights @ values / values.shape[0])


def over_tasks(values: Floats, tasks: Tasks, weights: Floats) -> Floats:
    """Return the mean over tasks of each task's mean of `values`, `[rows, ...]`: `[draws, ...]`.

    Resamples keep the number of rows of each task, so that this too is one product.
    """
    import numpy as np

    share = tasks.share.reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(weights @ (values * share).astype(values.dtype))


@dataclass(frozen=True, eq=False)
class Bins:
    """Estimates beside what came true, in bins of equally many estimates.

    Attributes
    ----------
    estimated, observed, count
        `[bins]`; mean estimate, mean score, and how many pairs there are.
    """

    estimated: Floats
    observed: Floats
    count: Ints


def calibration(quality: Floats, scores: Floats, bins: int = BINS) -> Bins:
    """Return estimates and scores in bins of equally many estimates.

    Parameters
    ----------
    quality, scores
        `[rows, experts]`; every pair counts, chosen or not, save where `quality` is NaN.
    """
    import numpy as np

    known = ~np.isnan(quality)
    of, estimates, seen = _bins(quality, bins)[known], quality[known], scores[known]
    count = np.bincount(of, minlength=bins)
    filled = count > 0
    estimated = np.bincount(of, estimates, bins)[filled] / count[filled]
    observed = np.bincount(of, seen, bins)[filled] / count[filled]
    return Bins(estimated, observed, count[filled])


def calibration_error(quality: Floats, scores: Floats, weights: Floats, bins: int = BINS) -> Floats:
    """Return the expected calibration error, `[draws]`: mean |estimate - score| of the bins.

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017, with equal-mass bins.
    """
    import numpy as np

    of, known = _bins(quality, bins), ~np.isnan(quality)
    gap = np.where(known, quality - scores, 0)
    # [rows, bins]: a row's gaps in each bin, so that a draw is one product.
    sums = np.stack([np.where(of == b, gap, 0).sum(axis=1) for b in range(bins)], axis=1)
    return np.asarray(np.abs(weights @ sums.astype(np.float32)).sum(axis=1) / known.sum())


def auroc(chances: Floats, right: Floats, weights: Floats) -> Floats:
    """Return the area under the ROC curve, `[draws]`: how well chances tell right from wrong.

    The share of pairs of a right and a wrong row in which the right one has the higher chance, ties
    counting half; NaN in draws that lack one of both.

    Parameters
    ----------
    chances, right
        `[rows]`; scores between 0 and 1 count for both, in proportion.
    """
    import numpy as np

    order = np.argsort(chances, kind="stable")
    starts = np.flatnonzero(np.diff(chances[order], prepend=-np.inf))
    drawn = weights[:, order].astype(np.float64)
    won = np.add.reduceat(drawn * right[order], starts, axis=1)
    lost = np.add.reduceat(drawn * (1 - right[order]), starts, axis=1)
    below = lost.cumsum(axis=1) - lost / 2
    pairs = won.sum(axis=1) * lost.sum(axis=1)
    return np.asarray(np.where(pairs > 0, (won * below).sum(axis=1) / pairs.clip(1e-12), np.nan))


def brier(quality: Floats, scores: Floats, weights: Floats) -> Floats:
    """Return the mean squared difference of estimates and scores, `[draws]` (Brier, 1950)."""
    import numpy as np

    return over_queries(np.nanmean((quality - scores) ** 2, axis=1), weights)


def _bins(quality: Floats, bins: int) -> Ints:
    """Return the bin of each estimate, `[rows, experts]`; equal estimates share one."""
    import numpy as np

    edges = np.nanquantile(quality, np.linspace(0, 1, bins + 1)[1:-1])
    return np.asarray(np.searchsorted(edges, quality, side="left").clip(0, bins - 1))
