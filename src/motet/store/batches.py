"""Batches of a service as they are shown: a document each, with what is looked up beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from motet.errors import NotFound
from motet.store.database import Connection, Transactions
from motet.store.paging import OWN, page

SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE NOT NULL,
    status TEXT NOT NULL,
    input TEXT NOT NULL,           -- the id of its input file
    body TEXT NOT NULL,            -- JSON
    owner TEXT NOT NULL DEFAULT '' -- whose key it came with; empty where none is asked for
);
"""
ADDED = ("batches", "owner", "TEXT NOT NULL DEFAULT ''")
"""A column that batches of before do not have."""


class BatchRows:
    """The batches of one database; a batch is a JSON object with `id` and `status`.

    Parameters
    ----------
    owner
        Whose batches there are, for whoever asks here; None for those of everybody.
    """

    def __init__(self, database: Transactions, owner: str | None = None) -> None:
        self._database = database
        self._owner = owner

    async def add(self, batch: dict[str, Any], input: str, owner: str) -> None:
        """Keep a new batch of `owner`, which reads the file `input`."""
        query = "INSERT INTO batches (id, status, input, body, owner) VALUES (?, ?, ?, ?, ?)"
        values = (batch["id"], batch["status"], input, orjson.dumps(batch).decode(), owner)
        await self._database.write(lambda f: f.execute(query, values))

    async def get(self, id: str) -> dict[str, Any]:
        """Return a batch.

        Raises
        ------
        NotFound
            There is none with that id.
        """
        return await self._database.do(_get, id, self._owner)

    async def listing(self, after: str | None, limit: int) -> tuple[list[dict[str, Any]], bool]:
        """Return batches, newest first, behind the one called `after`; and whether more follow."""
        query = f"SELECT body FROM batches WHERE {OWN}"  # noqa: S608
        own = (self._owner, self._owner)
        rows, more = await page(self._database, "batches", query, own, after, limit)
        return [orjson.loads(row[0]) for row in rows], more

    async def having(self, states: Sequence[str], input: str | None = None) -> list[str]:
        """Return the batches in one of `states`, oldest first; those that read `input` if given."""
        marks = ", ".join("?" * len(states))
        query = f"""SELECT id FROM batches WHERE status IN ({marks})
                    AND (? IS NULL OR input = ?) ORDER BY row"""  # noqa: S608
        values = (*states, input, input)
        rows = await self._database.do(lambda f: f.execute(query, values).fetchall())
        return [row[0] for row in rows]

    async def change(self, id: str, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Return a batch after `change`, which no other replica's change comes between."""

        def write(file: Connection) -> dict[str, Any]:
            batch = _get(file, id, self._owner)
            change(batch)
            query = "UPDATE batches SET status = ?, body = ? WHERE id = ?"
            file.execute(query, (batch["status"], orjson.dumps(batch).decode(), id))
            return batch

        return await self._database.write(write)


def _get(file: Connection, id: str, owner: str | None) -> dict[str, Any]:
    query = f"SELECT body FROM batches WHERE id = ? AND {OWN}"  # noqa: S608
    row = file.execute(query, (id, owner, owner)).fetchone()
    if row is None:
        names = file.execute(f"SELECT id FROM batches WHERE {OWN}", (owner, owner))  # noqa: S608
        known = [each[0] for each in names]
        raise NotFound("batch", id, known)
    batch: dict[str, Any] = orjson.loads(row[0])
    return batch
