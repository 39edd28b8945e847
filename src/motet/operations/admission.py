"""Letting requests through under the limits and the budget of their key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from motet.config import Rates
from motet.errors import RateLimited
from motet.operations.budgets import Budgets
from motet.operations.callers import Holder
from motet.operations.rates import Allowances, Grant, LocalAllowances


class Admissions:
    """Every key's limits and budget.

    Parameters
    ----------
    allowances
        Where requests and tokens are counted; in this process when absent.
    replicas
        Processes that divide requests at once evenly among them.
    """

    def __init__(
        self,
        allowances: Allowances | None = None,
        budgets: Budgets | None = None,
        replicas: int = 1,
    ) -> None:
        self.allowances = allowances or LocalAllowances()
        self.budgets = budgets or Budgets()
        self.at_once: Counter[str] = Counter()
        self._replicas = replicas

    async def enter(self, holder: Holder, tokens: int, cap_usd: float) -> Admission:
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
        key, most = holder.caller.key, holder.rates.requests_at_once
        if most is not None and self.at_once[key] >= -(-most // self._replicas):
            raise RateLimited(key, "requests at once", most, 1.0)
        if holder.budget is not None:
            self.budgets.refuse(key, holder.budget)
        admission = Admission(self, holder, tokens, cap_usd)
        try:
            await admission.take(holder.rates)
        except BaseException:
            admission.tokens, admission.requests = 0, 0
            admission.close()
            raise
        return admission


class Admission:
    """One request that is let through; closed when it is over.

    Attributes
    ----------
    requests, tokens, cost_usd
        What it took; until that is known, what it was taken to need.
    headers
        What its key has left, as clients read it.
    """

    def __init__(self, admissions: Admissions, holder: Holder, tokens: int, cap_usd: float) -> None:
        self._admissions = admissions
        self._holder = holder
        self._needed, self._held_usd = tokens, cap_usd
        self._grants: dict[str, Grant] = {}
        self.requests, self.tokens, self.cost_usd = 1, tokens, 0.0
        self.headers: Mapping[str, str] = {}
        admissions.at_once[holder.caller.key] += 1
        if holder.budget is not None:
            admissions.budgets.hold(holder.caller.key, holder.budget, cap_usd)

    async def take(self, rates: Rates) -> None:
        """Take what it needs of what its key may have.

        Raises
        ------
        RateLimited
            There is not so much.
        """
        said: dict[str, str] = {}
        for what, amount, limit in (
            ("requests", 1, rates.requests_per_minute),
            ("tokens", self._needed, rates.tokens_per_minute),
        ):
            if limit is None:
                continue
            key = self._holder.caller.key
            grant = await self._admissions.allowances.take(key, what, amount, limit)
            if grant.wait_s:
                raise RateLimited(key, f"{what} per minute", limit, grant.wait_s)
            self._grants[what] = grant
            said[f"x-ratelimit-limit-{what}"] = str(limit)
            said[f"x-ratelimit-remaining-{what}"] = str(grant.left)
        if (budget := self._holder.budget) is not None:
            left = self._admissions.budgets.left_usd(self._holder.caller.key, budget)
            said["x-motet-budget-left-usd"] = f"{left:.6g}"
        self.headers = said

    def close(self) -> None:
        """Note its end, and what it took in place of what it was taken to need."""
        key, admissions = self._holder.caller.key, self._admissions
        admissions.at_once[key] -= 1
        used = {"requests": (1, self.requests), "tokens": (self._needed, self.tokens)}
        for what, grant in self._grants.items():
            admissions.allowances.settle(key, what, grant, *used[what])
        if (budget := self._holder.budget) is not None:
            admissions.budgets.spend(key, budget, self.cost_usd, self._held_usd)
