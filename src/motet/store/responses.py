"""Responses that can be continued: what was said until then, by the response's id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

from sqlalchemy import BigInteger, Column, Connection, Double, Index, Table, Text, delete, select

from motet.errors import NotFound
from motet.store.database import Transactions
from motet.store.tables import METADATA, insert


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRow:
    """One response.

    Attributes
    ----------
    owner
        The id of the key that asked; nobody else reads it.
    time
        When it was made, as Unix time in seconds.
    input, response
        JSON: the items that were read, those of earlier turns first, and the response.
    size
        About how many bytes the row takes.
    """

    id: str
    owner: str
    time: float
    input: str
    response: str
    size: int


RESPONSES = Table(
    "responses",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("input", Text, nullable=False),
    Column("response", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Index("responses_by_time", "time", "size"),
)
_NAMES = tuple(field.name for field in fields(ResponseRow))
_values = attrgetter(*_NAMES)


class ResponseRows:
    """The responses of one database."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def get(self, id: str, owner: str) -> ResponseRow:
        """Return a response of `owner`'s.

        Raises
        ------
        NotFound
            He has none of that id.
        """
        query = select(RESPONSES).where(RESPONSES.c.id == id, RESPONSES.c.owner == owner)
        row = await self._database.do(lambda c: c.execute(query).mappings().first())
        if row is None:
            hint = "It was never kept, is another caller's, or has been removed since."
            raise NotFound("response", id, hint=hint)
        return ResponseRow(**row)

    async def remove(self, id: str, owner: str) -> None:
        """Remove a response of `owner`'s, if there is one."""
        gone = delete(RESPONSES).where(RESPONSES.c.id == id, RESPONSES.c.owner == owner)
        await self._database.write(lambda c: c.execute(gone))


def keep(connection: Connection, rows: Sequence[ResponseRow]) -> None:
    """Keep rows, each once."""
    adding = insert(connection, RESPONSES).on_conflict_do_nothing(index_elements=[RESPONSES.c.id])
    connection.execute(adding, [dict(zip(_NAMES, _values(row), strict=True)) for row in rows])
