"""What keys have spent, of what they may: in this process at once, over all of them soon."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from motet.config.keys import Budget
from motet.errors import BudgetSpent

log = logging.getLogger(__name__)

_WARNED_AT = 0.8


@dataclass(slots=True)
class _Spending:
    """One key's, in one period.

    Attributes
    ----------
    held_usd
        What requests under way may still come to.
    """

    since: str
    spent_usd: float = 0.0
    held_usd: float = 0.0
    warned: bool = False


class Budgets:
    """The spending of each key.

    A request holds what its composition lets it cost until it is over, so that requests at once do
    not overspend together; where that has no bound, as much as each of them costs.

    Parameters
    ----------
    now
        A clock in Unix seconds.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._keys: dict[str, _Spending] = {}

    def refuse(self, key: str, budget: Budget) -> None:
        """Raise `BudgetSpent` where a key has spent what it may, or may by then."""
        spending = self._spending(key, budget)
        if spending.spent_usd + spending.held_usd >= budget.usd:
            left_s = (_end(budget, self._now()) - self._today()).total_seconds()
            raise BudgetSpent(key, budget.usd, budget.per, left_s)

    def hold(self, key: str, budget: Budget, usd: float) -> None:
        """Note that a request under way may cost `usd`."""
        self._spending(key, budget).held_usd += usd

    def spend(self, key: str, budget: Budget, usd: float, held_usd: float) -> None:
        """Note what a request has cost, which had held something."""
        spending = self._spending(key, budget)
        spending.held_usd = max(0.0, spending.held_usd - held_usd)
        spending.spent_usd += usd
        if spending.spent_usd >= _WARNED_AT * budget.usd and not spending.warned:
            spending.warned = True
            log.warning(
                "key %s has spent %.2f of the %g USD of this %s",
                key, spending.spent_usd, budget.usd, budget.per,
            )  # fmt: skip

    def left_usd(self, key: str, budget: Budget) -> float:
        """Return what a key may still spend."""
        return max(0.0, budget.usd - self._spending(key, budget).spent_usd)

    def learn(self, key: str, budget: Budget, usd: float) -> None:
        """Take what the ledger of all processes says that a key has spent in this period.

        The ledger hears of a request a moment later, so the more of the two counts.
        """
        spending = self._spending(key, budget)
        spending.spent_usd = max(spending.spent_usd, usd)

    def since(self, budget: Budget) -> str:
        """Return the first day of the period, in UTC."""
        return _begin(budget, self._now()).date().isoformat()

    def _spending(self, key: str, budget: Budget) -> _Spending:
        since = self.since(budget)
        spending = self._keys.get(key)
        if spending is None or spending.since != since:
            held = 0.0 if spending is None else spending.held_usd
            spending = self._keys[key] = _Spending(since, held_usd=held)
        return spending

    def _today(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)


def _begin(budget: Budget, now: float) -> datetime:
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today if budget.per == "day" else today.replace(day=1)


def _end(budget: Budget, now: float) -> datetime:
    begin = _begin(budget, now)
    return begin + timedelta(days=1) if budget.per == "day" else _next_month(begin)


def _next_month(begin: datetime) -> datetime:
    return (begin + timedelta(days=32)).replace(day=1)
