"""Limits and budgets of keys."""

import pytest

from motet.config import Rates
from motet.config.keys import Budget
from motet.errors import BudgetSpent, RateLimited
from motet.operations.admission import Admissions
from motet.operations.budgets import Budgets
from motet.operations.callers import Holder
from motet.operations.rates import LocalAllowances
from motet.types import Caller

NOON = 1_796_040_000.0  # 2026-11-30T12:00Z


class Clock:
    now = NOON

    def __call__(self):
        return self.now


def admissions(budget=None, **rates):
    clock = Clock()
    found = Admissions(LocalAllowances(clock), Budgets(clock))
    return found, Holder(Caller(key="ann"), Rates(**rates), budget), clock


async def test_requests_of_a_minute():
    found, ann, clock = admissions(requests_per_minute=3)
    for left in (2, 1, 0):
        admission = await found.enter(ann, 10, 0)
        assert admission.headers == {
            "x-ratelimit-limit-requests": "3", "x-ratelimit-remaining-requests": str(left),
        }  # fmt: skip
        admission.close()
        clock.now += 10
    with pytest.raises(RateLimited, match="3 requests per minute") as caught:
        await found.enter(ann, 10, 0)
    assert caught.value.retry_after == pytest.approx(30)
    clock.now += 30.01
    await found.enter(ann, 10, 0)
    await found.enter(Holder(Caller(key="bob"), ann.rates), 10, 0)  # somebody else's are his own


async def test_tokens_are_counted_as_they_turn_out():
    found, ann, clock = admissions(tokens_per_minute=100)
    admission = await found.enter(ann, 90, 0)
    with pytest.raises(RateLimited, match="tokens"):
        await found.enter(ann, 20, 0)
    admission.tokens = 30
    admission.close()
    (await found.enter(ann, 60, 0)).close()
    with pytest.raises(RateLimited):
        await found.enter(ann, 20, 0)
    clock.now += 60.01
    (await found.enter(ann, 5000, 0)).close()  # more than a minute has: once there is nothing else
    with pytest.raises(RateLimited):
        await found.enter(ann, 1, 0)


async def test_requests_at_once():
    found, ann, _ = admissions(requests_at_once=2)
    first, _second = await found.enter(ann, 1, 0), await found.enter(ann, 1, 0)
    with pytest.raises(RateLimited, match="2 requests at once"):
        await found.enter(ann, 1, 0)
    first.close()
    await found.enter(ann, 1, 0)


async def test_who_is_refused_has_asked_nothing():
    found, ann, _ = admissions(Budget(usd=1.0), requests_per_minute=5, tokens_per_minute=10)
    await found.enter(ann, 8, 0.5)
    for _ in range(20):
        with pytest.raises(RateLimited):
            await found.enter(ann, 8, 0.5)
    assert (await found.enter(ann, 2, 0)).headers["x-ratelimit-remaining-requests"] == "3"


async def spend(found, ann, usd, cap=0.0):
    admission = await found.enter(ann, 1, cap)
    admission.cost_usd = usd
    admission.close()
    return admission


async def test_a_budget_ends_and_begins_again(caplog):
    found, ann, clock = admissions(Budget(usd=1.0, per="day"))
    assert (await spend(found, ann, 0.5)).headers == {"x-motet-budget-left-usd": "1"}
    assert (await spend(found, ann, 0.4)).headers == {"x-motet-budget-left-usd": "0.5"}
    assert "key ann has spent 0.90 of the 1 USD" in caplog.text
    await spend(found, ann, 0.4)  # over by no more than one request
    with pytest.raises(BudgetSpent, match="1 USD a day") as caught:
        await found.enter(ann, 1, 0)
    assert caught.value.retry_after == pytest.approx(12 * 3600)
    clock.now += 12 * 3600
    assert (await spend(found, ann, 0.1)).headers == {"x-motet-budget-left-usd": "1"}


async def test_requests_at_once_overspend_by_no_more_than_one():
    found, ann, _ = admissions(Budget(usd=1.0))
    under_way = [await found.enter(ann, 1, 0.3) for _ in range(4)]
    with pytest.raises(BudgetSpent):
        await found.enter(ann, 1, 0.3)
    for admission in under_way:
        admission.cost_usd = 0.1
        admission.close()
    assert found.budgets.left_usd("ann", ann.budget) == pytest.approx(0.6)
    await found.enter(ann, 1, 0.3)


async def test_what_others_have_spent_counts_too():
    found, ann, clock = admissions(Budget(usd=1.0))
    assert found.budgets.since(ann.budget) == "2026-11-01"
    await spend(found, ann, 0.2)
    found.budgets.learn("ann", ann.budget, 0.1)  # the ledger hears a moment later
    assert found.budgets.left_usd("ann", ann.budget) == pytest.approx(0.8)
    found.budgets.learn("ann", ann.budget, 1.5)
    with pytest.raises(BudgetSpent):
        await found.enter(ann, 1, 0)
    clock.now += 86400
    await found.enter(ann, 1, 0)  # December
