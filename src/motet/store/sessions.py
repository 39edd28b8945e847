"""What is remembered of conversations: one row each, written a moment after a turn."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Index,
    Table,
    Text,
    delete,
    func,
    select,
)

from motet.store.database import Transactions
from motet.store.tables import METADATA, insert
from motet.store.writer import Tidy
from motet.types import Past

_TRIMMED = 2000
"""Rows that one transaction removes."""
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A conversation after a turn.

    Attributes
    ----------
    id
        See `motet.conversation.identity`.
    time
        When the turn ended, as Unix time in seconds.
    """

    id: str
    time: float
    past: Past


_KNOWN = ("expert", "latched", "judged", "messages")
SESSIONS = Table(
    "sessions",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("expert", Text, nullable=False),
    Column("latched", Text, nullable=False),
    Column("judged", BigInteger, nullable=False),
    Column("messages", BigInteger, nullable=False),
    Column("time", Double, nullable=False),
    Index("sessions_by_time", "time"),
)


class SessionRows:
    """The conversations of one database."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def get(self, id: str, since: float) -> Past | None:
        """Return what is known of a conversation that had a turn since that Unix time."""
        columns = SESSIONS.c
        query = select(*(columns[name] for name in _KNOWN))
        query = query.where(columns.id == id, columns.time >= since)
        row = await self._database.do(lambda c: c.execute(query).mappings().first())
        return None if row is None else Past(**row)


def keep(connection: Connection, rows: Sequence[SessionRow]) -> None:
    """Keep rows; of two turns of one conversation the later stays."""
    adding = insert(connection, SESSIONS)
    said = {name: adding.excluded[name] for name in (*_KNOWN, "time")}
    is_later = SESSIONS.c.time <= adding.excluded.time
    adding = adding.on_conflict_do_update(index_elements=[SESSIONS.c.id], set_=said, where=is_later)
    newest = {row.id: row for row in sorted(rows, key=lambda row: row.time)}
    values = [
        {"id": id, "time": row.time, **{name: getattr(row.past, name) for name in _KNOWN}}
        for id, row in sorted(newest.items())
    ]  # in one order everywhere, so that no two replicas wait for each other
    connection.execute(adding, values)


def forgetter(days: float, most: int) -> Tidy:
    """Return what removes conversations that are older, or more than may be kept."""
    return lambda connection: _forget(connection, days, most)


def _forget(connection: Connection, days: float, most: int) -> bool:
    """Remove some conversations, the oldest first; return whether more are due."""
    count = int(connection.scalar(select(func.count()).select_from(SESSIONS)) or 0)
    oldest = time.time() - days * _DAY_S
    columns = SESSIONS.c
    query = select(columns.id, columns.time).order_by(columns.time).limit(_TRIMMED)
    gone = [
        row.id
        for number, row in enumerate(connection.execute(query))
        if row.time < oldest or count - number > most
    ]
    if gone:
        connection.execute(delete(SESSIONS).where(columns.id.in_(gone)))
    return len(gone) == _TRIMMED
