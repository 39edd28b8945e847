"""The usage ledger: a day's requests, calls, tokens and cost by who asked whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import add, attrgetter
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Double, Table, Text, func, select, true

from motet.store.database import Transactions
from motet.store.tables import METADATA, insert

DIMENSIONS = ("day", "key", "tenant", "composition", "expert")
"""What usage is counted by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """Usage to be counted.

    Attributes
    ----------
    day
        In UTC, such as `2026-11-28`.
    expert
        Who was called, and who wrote the answer; empty for a request that nobody answered.
    requests, failed
        Requests that ended, and those of them that ended in an error.
    """

    day: str
    key: str
    tenant: str
    composition: str
    expert: str
    requests: int = 0
    failed: int = 0
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0


MEASURES = tuple(field.name for field in fields(UsageRow) if field.name not in DIMENSIONS)
"""What is counted."""
_COUNTS = tuple(name for name in MEASURES if name != "cost_usd")
_where, _counts = attrgetter(*DIMENSIONS), attrgetter(*MEASURES)
USAGE = Table(
    "usage",
    METADATA,
    *(Column(name, Text, primary_key=True) for name in DIMENSIONS),
    *(Column(name, BigInteger if name in _COUNTS else Double, nullable=False) for name in MEASURES),
)


def keep(connection: Connection, rows: Sequence[UsageRow]) -> None:
    """Add rows to what is counted already."""
    sums: dict[tuple[str, ...], list[Any]] = {}
    for row in rows:
        counts = _counts(row)
        known = sums.setdefault(_where(row), [0] * len(MEASURES))
        known[:] = map(add, known, counts)
    adding = insert(connection, USAGE)
    more = {name: USAGE.c[name] + adding.excluded[name] for name in MEASURES}
    adding = adding.on_conflict_do_update(index_elements=list(USAGE.primary_key), set_=more)
    values = [
        dict(zip((*DIMENSIONS, *MEASURES), (*where, *counts), strict=True))
        for where, counts in sorted(sums.items())
    ]  # in one order everywhere, so that no two replicas wait for each other
    connection.execute(adding, values)


class UsageRows:
    """The ledger of one database."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def totals(
        self, by: Sequence[str] = ("day",), since: str | None = None
    ) -> list[dict[str, Any]]:
        """Return sums by some of `DIMENSIONS`, from the day `since` on, in their order."""
        columns = [USAGE.c[name] for name in by]
        sums = [func.sum(USAGE.c[name]).label(name) for name in MEASURES]
        days = true() if since is None else USAGE.c.day >= since
        query = select(*columns, *sums).where(days).group_by(*columns).order_by(*columns)
        rows = await self._database.do(lambda c: c.execute(query).all())
        named = [dict(zip((*by, *MEASURES), row, strict=True)) for row in rows]
        # PostgreSQL sums whole numbers to decimals.
        return [{**row, **{name: int(row[name]) for name in _COUNTS}} for row in named]
