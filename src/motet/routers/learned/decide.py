"""From an estimate to a choice: the one function that live requests and the laboratory share.

The utility of an expert is `quality - lambda * cost / scale`. `scale` is the mean cost of the
dearest expert of the table that was learned from, so costs lie in [0, 1] on average, and lambda
is the quality one gives up to save that much. It is the same for every query: raising lambda can
then never raise the expected cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from motet.errors import TableError
from motet.routers.learned.base import Estimate
from motet.wording import did_you_mean

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from motet.tables.routing import Table

    Floats = NDArray[np.float32]

_LAMBDAS = 400


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a decision weighs, and what it must not exceed.

    Attributes
    ----------
    lam
        Quality given up to save `scale` USD an answer.
    scale
        USD that count as a cost of 1.
    charged
        The expert whose every call costs 1 and all others' 0, in place of USD: how a share of
        calls is had where costs are unknown. A negative `lam` then favours it.
    max_cost_usd
        Expected USD an answer that no choice may exceed.
    max_latency_s
        Seconds that the mean answer of no choice may exceed.
    """

    lam: float = 0.0
    scale: float = 1.0
    charged: str | None = None
    max_cost_usd: float | None = None
    max_latency_s: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranking:
    """Experts by utility.

    Attributes
    ----------
    order
        `[queries, experts]` columns, best first; those that are not allowed come last.
    allowed
        `[queries, experts]`, by column.
    utility
        `[queries, experts]`, by column; -inf where not allowed.
    confidence
        `[queries]`, the chance that the first is really the best of the allowed: the lowest over
        its rivals of the normal probability of their gap in utility.
    """

    order: NDArray[np.intp]
    allowed: NDArray[np.bool_]
    utility: NDArray[np.float64]
    confidence: NDArray[np.float64]

    @property
    def chosen(self) -> NDArray[np.intp]:
        """`[queries]` column of the choice; -1 where nobody is allowed."""
        import numpy as np

        first = self.order[:, 0]
        return np.where(np.take_along_axis(self.allowed, first[:, None], 1)[:, 0], first, -1)


def utilities(
    estimate: Estimate, lam: float, scale: float = 1.0, charged: int | None = None
) -> NDArray[np.float64]:
    """Return `[queries, experts]` of `quality - lam * cost / scale`; see `Terms`."""
    import numpy as np

    quality = estimate.quality.astype(np.float64)
    if charged is not None:
        quality[:, charged] -= lam
        return quality
    if estimate.cost is None or lam == 0:
        return quality
    return quality - lam * (estimate.cost.astype(np.float64) / scale)


def rank(
    estimate: Estimate,
    experts: Sequence[str],
    terms: Terms,
    *,
    latency: NDArray[Any] | None = None,
    allowed: NDArray[np.bool_] | None = None,
) -> Ranking:
    """Return the experts of each query by utility, hard limits first.

    Ties go to the lower expected cost, then to the lower name, so that the order of columns
    never matters.

    Parameters
    ----------
    estimate
        `[queries, experts]`.
    experts
        Names of the columns.
    terms
        What is weighed, and the limits.
    latency
        `[experts]` seconds, or NaN; None when unknown, and then no limit binds.
    allowed
        `[experts]` or `[queries, experts]`; None allows all.
    """
    import numpy as np

    charged = None if terms.charged is None else list(experts).index(terms.charged)
    utility = utilities(estimate, terms.lam, terms.scale, charged)
    within = np.isfinite(utility)
    if allowed is not None:
        within &= allowed
    if terms.max_cost_usd is not None and estimate.cost is not None:
        within &= estimate.cost <= terms.max_cost_usd
    if terms.max_latency_s is not None and latency is not None:
        within &= ~(latency > terms.max_latency_s)
    utility = np.where(within, utility, -np.inf)
    order = np.tile(np.argsort(np.array(experts), kind="stable"), (len(utility), 1))
    if estimate.cost is not None:
        order = _stable(order, estimate.cost)
    order = _stable(order, -utility)
    return Ranking(
        order=order,
        allowed=within,
        utility=utility,
        confidence=_confidence(utility, estimate.error, order, within),
    )


def calibrate(
    estimate: Estimate,
    table: Table,
    *,
    scale: float = 1.0,
    target_cost: float | None = None,
    target_share: tuple[str, float] | None = None,
) -> Terms:
    """Return terms whose choices on `table` cost, or call an expert, as much as is wanted.

    Parameters
    ----------
    estimate
        Of the rows of `table`, best from cross-validation, in the order of its experts.
    target_cost
        Mean USD an answer, by the table's own costs: the least lambda that keeps to it.
    target_share
        An expert and its share of calls in [0, 1].

    Raises
    ------
    TableError
        The table has no costs or no such expert, or no lambda reaches the target.
    """
    if target_share is not None:
        return _share(estimate, table, *target_share)
    if target_cost is None:
        raise ValueError("calibrate needs target_cost or target_share")
    return _cost(estimate, table, scale, target_cost)


def _share(estimate: Estimate, table: Table, expert: str, share: float) -> Terms:
    import numpy as np

    if expert not in table.experts:
        raise TableError(
            f"{table.name} has no expert {expert!r}.", hint=did_you_mean(expert, table.experts)
        )
    if not 0 <= share <= 1:
        raise TableError(f"A share of calls lies from 0 to 1, and {share:g} does not.")
    column = table.experts.index(expert)
    others = np.delete(estimate.quality, column, axis=1).astype(np.float64)
    if not others.shape[1]:
        return Terms(charged=expert)
    lead = np.sort(estimate.quality[:, column] - np.nanmax(others, axis=1))[::-1]
    calls = round(share * len(lead))
    # Between the lead of the last query that is to go to the expert and the next one's.
    high = lead[calls - 1] if calls else lead[0] + 1.0
    low = lead[calls] if calls < len(lead) else lead[-1] - 1.0
    return Terms(lam=float((high + low) / 2), charged=expert)


def _cost(estimate: Estimate, table: Table, scale: float, target: float) -> Terms:
    import numpy as np

    if table.costs is None or estimate.cost is None:
        raise TableError(
            f"{table.name} has no 'cost:' columns, so no lambda can be found for a cost.",
            hint="Give a share of calls instead.",
        )
    rows = np.arange(len(table))
    least = np.inf
    for lam in (0.0, *np.geomspace(1e-3, 1e3, _LAMBDAS)):
        terms = Terms(lam=float(lam), scale=scale)
        spent = float(table.costs[rows, rank(estimate, table.experts, terms).chosen].mean())
        if spent <= target:
            return terms
        least = min(least, spent)
    raise TableError(
        f"No lambda spends {target:g} USD an answer or less on {table.name}: the cheapest choices "
        f"cost {least:g}."
    )


def _stable(order: NDArray[np.intp], keys: NDArray[Any]) -> NDArray[np.intp]:
    """Sort each row of `order` by the keys of its columns, ties as they are."""
    import numpy as np

    sorted_ = np.argsort(np.take_along_axis(keys, order, 1), axis=1, kind="stable")
    return np.take_along_axis(order, sorted_, 1)


def _confidence(
    utility: NDArray[np.float64],
    error: NDArray[Any],
    order: NDArray[np.intp],
    allowed: NDArray[np.bool_],
) -> NDArray[np.float64]:
    import numpy as np
    from scipy.special import ndtr

    first = order[:, :1]
    alone = allowed.sum(axis=1) < 2
    if alone.all():
        return np.asarray(allowed.any(axis=1), np.float64)
    rivals = np.where(allowed, utility, -np.inf)
    np.put_along_axis(rivals, first, -np.inf, 1)
    own = np.take_along_axis(utility, first, 1)
    spread = np.hypot(error, np.take_along_axis(error, first, 1)).clip(1e-9)
    with np.errstate(invalid="ignore"):  # -inf less -inf where nobody is allowed
        gaps = np.where(np.isfinite(rivals), (own - rivals) / spread, np.inf)
    chance = ndtr(gaps.min(axis=1))
    return np.where(alone, allowed.any(axis=1), chance)
