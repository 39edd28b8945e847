"""Letting requests through under the limits and the budget of their key."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from motet.operations.budgets import Budgets
from motet.operations.callers import Holder
from motet.operations.rates import Counts


class Admissions:
    """Every key's limits and budget, in this process.

    Parameters
    ----------
    now
        A clock in seconds, for limits.
    """

    def __init__(
        self, budgets: Budgets | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.budgets = budgets or Budgets()
        self.now = now
        self._keys: dict[str, Counts] = {}

    def enter(self, holder: Holder, tokens: int, cap_usd: float) -> Admission:
        """Let a request through; whoever is refused has asked nothing.

        Parameters
        ----------
        tokens
            What it is taken to need, prompt and answer.
        cap_usd
            What it may cost at most; 0 where that has no bound.

        Raises
        ------
        RateLimited, BudgetSpent
            There is no room for it; says for what, and when there is.
        """
        key, now = holder.caller.key, self.now()
        counts = self._keys.setdefault(key, Counts())
        counts.refuse(key, holder.rates, tokens, now)
        if holder.budget is not None:
            self.budgets.refuse(key, holder.budget)
        return Admission(self, holder, counts, tokens, cap_usd)


class Admission:
    """One request that was let through; closed when it is over.

    Attributes
    ----------
    headers
        What its key has left, as clients read it.
    tokens, cost_usd
        What it took; until that is known, what it was taken to need.
    """

    def __init__(
        self, admissions: Admissions, holder: Holder, counts: Counts, tokens: int, cap_usd: float
    ) -> None:
        self._admissions = admissions
        self._holder = holder
        self._counts = counts
        self._needed, self._held_usd = tokens, cap_usd
        self.tokens, self.cost_usd = tokens, 0.0
        now = admissions.now()
        counts.at_once += 1
        counts.requests.add(1, now)
        self._part = counts.tokens.add(tokens, now)
        if holder.budget is not None:
            admissions.budgets.hold(holder.caller.key, holder.budget, cap_usd)
        self.headers: Mapping[str, str] = counts.left(holder.rates)
        if holder.budget is not None:
            left = admissions.budgets.left_usd(holder.caller.key, holder.budget)
            self.headers = {**self.headers, "x-motet-budget-left-usd": f"{left:.6g}"}

    def close(self) -> None:
        """Note its end, and what it took in place of what it was taken to need."""
        counts, now = self._counts, self._admissions.now()
        counts.at_once -= 1
        if self.tokens != self._needed:
            counts.tokens.take_back(self._needed, self._part, now)
            counts.tokens.add(self.tokens, now)
        budget = self._holder.budget
        if budget is not None:
            key = self._holder.caller.key
            self._admissions.budgets.spend(key, budget, self.cost_usd, self._held_usd)
