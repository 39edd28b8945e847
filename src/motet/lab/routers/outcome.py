"""What one contestant would have done on every row of a table, and the figures of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from motet.lab.routers import curves, metrics
from motet.tables.routing import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Ints = NDArray[np.integer]

CPT_PERCENTS = (50, 80)


@dataclass(frozen=True, kw_only=True, eq=False)
class TableOutcome:
    """One contestant on one table.

    Attributes
    ----------
    control
        Whether it is a yardstick rather than a router: oracle, random, best single expert.
    calls
        `[rows, experts]` float32; how likely each expert is called. Rows sum to 1.
    quality
        `[rows, experts]` float32, what it expected, NaN where it expected nothing; None when it
        does not estimate.
    sweep
        `[prices, rows]` int; the expert called at each price of money, from none to all that
        counts. None where costs are not known to it.
    """

    name: str
    calls: Floats
    control: bool = False
    quality: Floats | None = None
    sweep: Ints | None = None

    def scores(self, table: Table) -> Floats:
        """Return the expected score of every row, `[rows]`."""
        import numpy as np

        return np.asarray((self.calls * table.scores).sum(axis=1))

    def costs(self, table: Table) -> Floats | None:
        """Return the expected cost of every row in USD, `[rows]`."""
        return None if table.costs is None else (self.calls * table.costs).sum(axis=1)

    def points(self, table: Table) -> tuple[Floats, Floats] | None:
        """Return scores and costs, `[rows, points]`, of all it can do: its cost-quality curve.

        The first point is the cheapest expert alone, which needs no router; the last one is how
        it was set. None without costs.
        """
        import numpy as np

        if table.costs is None:
            return None
        rows = np.arange(len(table))
        sweep = np.empty((0, len(rows)), dtype=int) if self.sweep is None else self.sweep
        cheapest = np.full((1, len(rows)), table.costs.mean(axis=0).argmin())
        chosen = np.concatenate([cheapest, sweep])
        scores, costs = table.scores[rows, chosen].T, table.costs[rows, chosen].T
        own_scores, own_costs = self.scores(table), self.costs(table)
        assert own_costs is not None
        return np.column_stack([scores, own_scores]), np.column_stack([costs, own_costs])

    def preference(self, pair: Pair) -> Floats:
        """Return how much it leans to the strong expert of a pair, `[rows]`; 0 without a view."""
        import numpy as np

        if self.quality is None:
            return np.zeros(len(self.calls))
        return np.nan_to_num(self.quality[:, pair.strong] - self.quality[:, pair.weak])


@dataclass(frozen=True)
class Pair:
    """The strong and the weak expert of the share-of-strong-calls curve, as columns."""

    strong: int
    weak: int

    @classmethod
    def of(cls, table: Table) -> Pair | None:
        """Return the best expert and, of the others, the cheapest or else the worst.

        None when the table has one expert, or none is better than the other.
        """
        import numpy as np

        means = table.scores.mean(axis=0, dtype=np.float64)
        strong = int(means.argmax())
        rank = means if table.costs is None else table.costs.mean(axis=0, dtype=np.float64)
        others = [e for e in range(len(means)) if e != strong and means[e] < means[strong]]
        return cls(strong, min(others, key=lambda e: rank[e])) if others else None


def best_single(table: Table, tasks: metrics.Tasks) -> int:
    """Return the column of the expert with the best mean over tasks; of equals, the cheapest."""
    import numpy as np

    means = (table.scores * tasks.share[:, None]).sum(axis=0)
    costs = np.zeros_like(means) if table.costs is None else table.costs.mean(axis=0)
    return int(np.lexsort((costs, -means))[0])


class Judge:
    """Turns outcomes on one table into figures.

    Parameters
    ----------
    table
        What all contestants are judged on.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.tasks = metrics.Tasks.read(table.tasks)
        self.best = best_single(table, self.tasks)
        self.pair = Pair.of(table)

    def figures(self, outcome: TableOutcome, weights: Floats) -> dict[str, Floats]:
        """Return every figure of one contestant, `[draws]` each, NaN where it is not defined.

        Parameters
        ----------
        weights
            `[draws, rows]`, how often each row counts.
        """
        import numpy as np

        table, tasks = self.table, self.tasks
        scores, best = outcome.scores(table), table.scores[:, self.best]
        oracle = table.scores.max(axis=1)
        undefined = np.full(len(weights), np.nan)
        figures = {
            "accuracy_mean_over_tasks": metrics.over_tasks(scores, tasks, weights),
            "accuracy_mean_over_queries": metrics.over_queries(scores, weights),
            "gain_over_best_single": metrics.over_tasks(scores - best, tasks, weights),
            "regret_to_oracle": metrics.over_tasks(oracle - scores, tasks, weights),
            "calibration_error": undefined,
            "brier": undefined,
        }
        if outcome.quality is not None and not outcome.control:
            pairs = outcome.quality, table.scores, weights
            figures["calibration_error"] = metrics.calibration_error(*pairs)
            figures["brier"] = metrics.brier(*pairs)
        return figures | self._strong_share(outcome, weights) | self._costs(outcome, weights)

    def _strong_share(self, outcome: TableOutcome, weights: Floats) -> dict[str, Floats]:
        import numpy as np

        names = ["apgr", *(f"cpt_{percent}" for percent in CPT_PERCENTS)]
        if self.pair is None:
            return dict.fromkeys(names, np.full(len(weights), np.nan))
        shares, recovered = self.recovered(outcome, weights)
        values = [curves.apgr(shares, recovered)]
        values += [curves.cpt(shares, recovered, percent) for percent in CPT_PERCENTS]
        return dict(zip(names, values, strict=True))

    def recovered(self, outcome: TableOutcome, weights: Floats) -> tuple[Floats, Floats]:
        """Return shares of strong calls and the gap recovered at each, `[draws, points]`."""
        assert self.pair is not None
        scores = self.table.scores
        gain = scores[:, self.pair.strong] - scores[:, self.pair.weak]
        return curves.gap_recovered(outcome.preference(self.pair), gain, weights)

    def _costs(self, outcome: TableOutcome, weights: Floats) -> dict[str, Floats]:
        import numpy as np

        names = "cost_mean", "aiq", "cost_at_best_single_quality", "cost_ratio_at_best_single"
        points, costs = outcome.points(self.table), outcome.costs(self.table)
        if points is None or costs is None or self.table.costs is None:
            return dict.fromkeys(names, np.full(len(weights), np.nan))
        singles = metrics.over_queries(self.table.costs, weights)
        wanted = metrics.over_queries(self.table.scores[:, self.best], weights)
        ys, xs = (metrics.over_queries(part, weights) for part in points)
        aiq = [
            curves.aiq(x, y, alone.min(), alone.max())
            for x, y, alone in zip(xs, ys, singles, strict=True)
        ]
        needed = np.array([curves.cost_of(q, x, y) for q, x, y in zip(wanted, xs, ys, strict=True)])
        values = metrics.over_queries(costs, weights), aiq, needed, needed / singles[:, self.best]
        return dict(zip(names, map(np.asarray, values), strict=True))
