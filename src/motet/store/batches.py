"""Batches of a service as they are shown: a document each, with what is looked up beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from sqlalchemy import Column, Connection, Table, Text, select, true, update

from motet.errors import NotFound
from motet.store.database import Transactions
from motet.store.paging import page
from motet.store.tables import METADATA, RowNumber, insert, own

BATCHES = Table(
    "batches",
    METADATA,
    Column("row", RowNumber, primary_key=True),
    Column("id", Text, unique=True, nullable=False),
    Column("status", Text, nullable=False),
    Column("input", Text, nullable=False),  # the id of its input file
    Column("body", Text, nullable=False),  # JSON
    Column("owner", Text, nullable=False, server_default=""),  # whose key it came with
    sqlite_autoincrement=True,
)


class BatchRows:
    """The batches of one database; a batch is a JSON object with `id` and `status`.

    Parameters
    ----------
    owner
        Whose batches there are, for whoever asks here; None for those of everybody.
    """

    def __init__(self, database: Transactions, owner: str | None = None) -> None:
        self._database = database
        self._own = own(BATCHES, owner)

    async def add(self, batch: dict[str, Any], input: str, owner: str) -> None:
        """Keep a new batch of `owner`, which reads the file `input`."""
        values = {"id": batch["id"], "input": input, "owner": owner, **_kept(batch)}
        await self._database.write(lambda c: c.execute(insert(c, BATCHES), values))

    async def get(self, id: str) -> dict[str, Any]:
        """Return a batch.

        Raises
        ------
        NotFound
            There is none with that id.
        """
        return await self._database.do(self._get, id)

    async def listing(self, after: str | None, limit: int) -> tuple[list[dict[str, Any]], bool]:
        """Return batches, newest first, behind the one called `after`; and whether more follow."""
        query = select(BATCHES.c.body).where(self._own)
        rows, more = await page(self._database, BATCHES, query, after, limit)
        return [orjson.loads(row.body) for row in rows], more

    async def having(self, states: Sequence[str], input: str | None = None) -> list[str]:
        """Return the batches in one of `states`, oldest first; those that read `input` if given."""
        reads = true() if input is None else BATCHES.c.input == input
        query = select(BATCHES.c.id).where(BATCHES.c.status.in_(states), reads)
        return await self._database.do(
            lambda c: list(c.scalars(query.order_by(BATCHES.c.row)).all())
        )

    async def change(self, id: str, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Return a batch after `change`, which no other replica's change comes between."""

        def write(connection: Connection) -> dict[str, Any]:
            batch = self._get(connection, id)
            change(batch)
            connection.execute(update(BATCHES).where(BATCHES.c.id == id).values(_kept(batch)))
            return batch

        return await self._database.write(write)

    def _get(self, connection: Connection, id: str) -> dict[str, Any]:
        body = connection.scalar(select(BATCHES.c.body).where(BATCHES.c.id == id, self._own))
        if body is None:
            known = connection.scalars(select(BATCHES.c.id).where(self._own)).all()
            raise NotFound("batch", id, known)
        batch: dict[str, Any] = orjson.loads(body)
        return batch


def _kept(batch: dict[str, Any]) -> dict[str, Any]:
    return {"status": batch["status"], "body": orjson.dumps(batch).decode()}
