"""Listings that clients page through."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Select, Table, select

from motet.errors import RequestError
from motet.store.database import Transactions

Anything = tuple[Any, ...]


async def page(
    database: Transactions, table: Table, query: Select[*Anything], after: str | None, limit: int
) -> tuple[list[Row[*Anything]], bool]:
    """Return rows of `query`, newest first, behind that with the id `after`; whether more follow.

    Raises
    ------
    RequestError
        There is no row `after`.
    """
    number = table.c.row

    def find(connection: Connection) -> list[Row[*Anything]] | None:
        wanted = query.order_by(number.desc()).limit(limit + 1)
        if after is not None:
            before = connection.scalar(select(number).where(table.c.id == after))
            if before is None:
                return None
            wanted = wanted.where(number < before)
        return list(connection.execute(wanted))

    rows = await database.do(find)
    if rows is None:
        raise RequestError(f"after: there is no {table.name[:-1]} {after!r}.", param="after")
    return rows[:limit], len(rows) > limit
