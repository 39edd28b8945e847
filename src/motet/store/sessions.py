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
    is_first
        Whether it was the first turn: what is known of one that opened alike is forgotten.
    """

    id: str
    past: Past
    is_first: bool = False


_KNOWN = ("expert", "latched", "judged", "messages", "ended")
SESSIONS = Table(
    "sessions",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("expert", Text, nullable=False),
    Column("latched", Text, nullable=False),
    Column("judged", BigInteger, nullable=False),
    Column("messages", BigInteger, nullable=False),
    Column("ended", Double, nullable=False),
    Index("sessions_by_end", "ended"),
)


class SessionRows:
    """The conversations of one database."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def get(self, id: str, since: float) -> Past | None:
        """Return what is known of a conversation that had a turn since that Unix time."""
        columns = SESSIONS.c
        query = select(*(columns[name] for name in _KNOWN))
        query = query.where(columns.id == id, columns.ended >= since)
        row = await self._database.do(lambda c: c.execute(query).mappings().first())
        return None if row is None else Past(**row)


def keep(connection: Connection, rows: Sequence[SessionRow]) -> None:
    """Keep rows; of two turns of one conversation the later stays, and a latch stays with both."""
    # In one order everywhere, so that no two replicas wait for each other.
    for row in sorted(rows, key=lambda row: (row.id, row.past.ended)):
        adding = insert(connection, SESSIONS)
        said = {name: adding.excluded[name] for name in _KNOWN}
        if not (row.past.latched or row.is_first):
            del said["latched"]  # of a replica that has not heard of it yet
        adding = adding.on_conflict_do_update(
            index_elements=[SESSIONS.c.id],
            set_=said,
            where=SESSIONS.c.ended <= adding.excluded.ended,
        )
        connection.execute(adding, {"id": row.id, **{n: getattr(row.past, n) for n in _KNOWN}})


def forgetter(days: float, most: int) -> Tidy:
    """Return what removes conversations that are older, or more than may be kept."""
    return lambda connection: _forget(connection, days, most)


def _forget(connection: Connection, days: float, most: int) -> bool:
    """Remove some conversations, the oldest first; return whether more are due."""
    count = int(connection.scalar(select(func.count()).select_from(SESSIONS)) or 0)
    oldest = time.time() - days * _DAY_S
    columns = SESSIONS.c
    query = select(columns.id, columns.ended).order_by(columns.ended).limit(_TRIMMED)
    gone = [
        row.id
        for number, row in enumerate(connection.execute(query))
        if row.ended < oldest or count - number > most
    ]
    if gone:
        connection.execute(delete(SESSIONS).where(columns.id.in_(gone)))
    return len(gone) == _TRIMMED
