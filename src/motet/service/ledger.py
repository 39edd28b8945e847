"""Telling budgets what keys spent elsewhere: before a restart, in batches, on other replicas."""

from __future__ import annotations

import asyncio
import logging

from motet.config.keys import KeyEntry
from motet.errors import StoreError
from motet.operations.budgets import Budgets
from motet.service.motet import Motet
from motet.store.database import Database
from motet.store.usage import UsageRows

log = logging.getLogger(__name__)

_LOOK_S = 2.0


async def follow_ledger(motet: Motet, budgets: Budgets, database: Database) -> None:
    """Read the usage ledger every two seconds, where some key has a budget.

    A ledger that cannot be read leaves budgets with what this process has seen.
    """
    usage, is_told = UsageRows(database), False
    while True:
        bounded = [key for key in motet.config.keys if key.budget is not None]
        try:
            if bounded:
                await _learn(bounded, budgets, usage)
            is_told = False
        except StoreError as error:
            if not is_told:
                log.warning("budgets go by what this process has seen: %s", error)
            is_told = True
        await asyncio.sleep(_LOOK_S)


async def _learn(keys: list[KeyEntry], budgets: Budgets, usage: UsageRows) -> None:
    spent: dict[str, dict[str, float]] = {}
    for key in keys:
        assert key.budget is not None
        since = budgets.since(key.budget)
        if since not in spent:
            rows = await usage.totals(by=("key",), since=since)
            spent[since] = {row["key"]: row["cost_usd"] for row in rows}
        budgets.learn(key.name, key.budget, spent[since].get(key.name, 0.0))
