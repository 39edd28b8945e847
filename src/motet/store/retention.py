"""How long rows are kept: what is too old, or too much, is removed a little at a time."""

from __future__ import annotations

import time

from sqlalchemy import Connection, Table, delete, func, select

from motet.store.writer import Tidy

_TRIMMED = 2000
"""Rows that one transaction removes."""
_PAGES = 2048
"""Pages of SQLite that one transaction gives back."""
_DAY_S = 86_400.0


def trimmer(table: Table, days: float, most_bytes: int) -> Tidy:
    """Return what removes rows that are older, or more than may be held together.

    Parameters
    ----------
    table
        It has the columns `id`, `time` (Unix time in seconds) and `size` (bytes).
    """
    return lambda connection: _trim(connection, table, time.time() - days * _DAY_S, most_bytes)


def each(*tidies: Tidy) -> Tidy:
    """Return what does all of them, and says whether one has more to do."""
    return lambda connection: any([tidy(connection) for tidy in tidies])


def _trim(connection: Connection, table: Table, oldest: float, most_bytes: int) -> bool:
    """Remove some rows, the oldest first; return whether more are due."""
    held = int(connection.scalar(select(func.coalesce(func.sum(table.c.size), 0))) or 0)
    query = select(table.c.id, table.c.time, table.c.size)
    gone = []
    for row in connection.execute(query.order_by(table.c.time).limit(_TRIMMED)):
        if row.time >= oldest and held <= most_bytes:
            break
        held -= row.size
        gone.append(row.id)
    if gone:
        connection.execute(delete(table).where(table.c.id.in_(gone)))
        if connection.dialect.name == "sqlite":  # PostgreSQL uses the room again by itself
            _give_back(connection)
    return len(gone) == _TRIMMED


def _give_back(file: Connection) -> None:
    """Give pages that nothing is in any more back to the disk."""
    free = int(file.exec_driver_sql("PRAGMA freelist_count").scalar() or 0)
    for _ in range(min(free, _PAGES)):
        # One each time: Python's module runs the pragma no further than its first page.
        file.exec_driver_sql("PRAGMA incremental_vacuum(1)")
