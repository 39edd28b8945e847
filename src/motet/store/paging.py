"""Listings that clients page through."""

from __future__ import annotations

from typing import Any

from motet.errors import RequestError
from motet.store.database import Connection, Transactions

OWN = "(? IS NULL OR owner = ?)"
"""Condition on rows: those of an owner, who is given twice, or of everybody where that is None."""


async def page(
    database: Transactions,
    table: str,
    query: str,
    values: tuple[Any, ...],
    after: str | None,
    limit: int,
) -> tuple[list[tuple[Any, ...]], bool]:
    """Return rows, newest first, behind that with the id `after`; and whether more follow.

    Raises
    ------
    RequestError
        There is no row `after`.
    """

    def find(file: Connection) -> Any:
        before = 2**62
        if after is not None:
            place = file.execute(f"SELECT row FROM {table} WHERE id = ?", (after,)).fetchone()  # noqa: S608
            if place is None:
                return None
            before = place[0]
        full = f"{query} AND row < ? ORDER BY row DESC LIMIT ?"
        return file.execute(full, (*values, before, limit + 1)).fetchall()

    rows = await database.do(find)
    if rows is None:
        raise RequestError(f"after: there is no {table[:-1]} {after!r}.", param="after")
    return rows[:limit], len(rows) > limit
