"""Batches of a service as OpenAI shows them, kept in the store as JSON."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any

import orjson

from motet import codec
from motet.batch.files import page
from motet.batch.store import Store
from motet.errors import NotFound, RequestError
from motet.protocol.batches import BatchBody
from motet.types import ANYBODY, Caller, new_id

SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE NOT NULL,
    status TEXT NOT NULL,
    input TEXT NOT NULL,           -- the id of its input file
    body TEXT NOT NULL             -- JSON
);
"""
OPEN = ("validating", "in_progress", "finalizing", "cancelling")
"""States of batches that somebody has to run on."""
_CALLER = "motet_caller"
"""Field of a kept batch that says whose it is; no client sees it."""
_TIMES = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


class Records:
    """The batch objects of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, body: BatchBody, caller: Caller) -> dict[str, Any]:
        """Keep a new batch of `caller`."""
        now = int(time.time())
        batch: dict[str, Any] = {
            "id": new_id("batch").replace("-", "_"),
            "object": "batch",
            "endpoint": body.endpoint,
            "errors": None,
            "input_file_id": body.input_file_id,
            "completion_window": body.completion_window,
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": now,
            "expires_at": now + body.window_s,
            **{f"{state}_at": None for state in _TIMES},
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": body.metadata,
            _CALLER: codec.dump(caller).decode(),
        }
        query = "INSERT INTO batches (id, status, input, body) VALUES (?, ?, ?, ?)"
        values = (batch["id"], "validating", body.input_file_id, orjson.dumps(batch).decode())
        await self._store.do(lambda f: f.execute(query, values))
        return _shown(batch)

    async def caller(self, id: str) -> Caller:
        """Return who has made a batch."""
        kept = (await self._store.do(_get, id)).get(_CALLER)
        return ANYBODY if kept is None else codec.load(Caller, kept.encode())

    async def get(self, id: str) -> dict[str, Any]:
        """Return a batch.

        Raises
        ------
        NotFound
            There is none with that id.
        """
        return _shown(await self._store.do(_get, id))

    async def listing(self, after: str | None, limit: int) -> tuple[list[dict[str, Any]], bool]:
        """Return batches, newest first, behind the one called `after`; and whether more follow."""
        query = "SELECT body FROM batches WHERE 1"
        rows, more = await page(self._store, "batches", query, (), after, limit)
        return [_shown(orjson.loads(row[0])) for row in rows], more

    async def open(self) -> list[str]:
        """Return the batches that have not ended, oldest first."""
        query = "SELECT id FROM batches WHERE status IN (?, ?, ?, ?) ORDER BY row"
        rows = await self._store.do(lambda f: f.execute(query, OPEN).fetchall())
        return [row[0] for row in rows]

    async def user_of(self, file: str) -> str | None:
        """Return a batch that has not ended and reads that input file."""
        query = "SELECT id FROM batches WHERE input = ? AND status IN (?, ?, ?, ?)"
        row = await self._store.do(lambda f: f.execute(query, (file, *OPEN)).fetchone())
        return row and str(row[0])

    async def move(self, id: str, status: str, **fields: Any) -> dict[str, Any]:
        """Put a batch into another state; one that was told to stop goes nowhere but to its end."""

        def change(batch: dict[str, Any]) -> None:
            stopping = batch["status"] == "cancelling" and status in ("in_progress", "finalizing")
            if not stopping:
                batch["status"] = status
                batch[f"{status}_at"] = batch[f"{status}_at"] or int(time.time())
            batch.update(fields)

        return await self._change(id, change)

    async def count(self, id: str, total: int, completed: int, failed: int) -> None:
        """Note how far a batch is."""
        counts = {"total": total, "completed": completed, "failed": failed}
        await self._change(id, lambda batch: batch.update(request_counts=counts))

    async def cancel(self, id: str) -> dict[str, Any]:
        """Tell a batch to stop; one that stops already is left alone.

        Raises
        ------
        NotFound
            There is none with that id.
        RequestError
            It has ended.
        """

        def change(batch: dict[str, Any]) -> None:
            if batch["status"] not in OPEN:
                raise RequestError(
                    f"Batch {id!r} is {batch['status']} and cannot be cancelled.",
                    hint="Only a batch that has not ended can be.",
                )
            batch["status"] = "cancelling"
            batch["cancelling_at"] = batch["cancelling_at"] or int(time.time())

        return await self._change(id, change)

    async def _change(self, id: str, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        def write(file: sqlite3.Connection) -> dict[str, Any]:
            file.execute("BEGIN IMMEDIATE")  # else another replica's change could be lost
            batch = _get(file, id)
            change(batch)
            query = "UPDATE batches SET status = ?, body = ? WHERE id = ?"
            file.execute(query, (batch["status"], orjson.dumps(batch).decode(), id))
            return batch

        return _shown(await self._store.do(write))


def _shown(batch: dict[str, Any]) -> dict[str, Any]:
    """Return a batch as its client sees it."""
    return {name: value for name, value in batch.items() if name != _CALLER}


def _get(file: sqlite3.Connection, id: str) -> dict[str, Any]:
    row = file.execute("SELECT body FROM batches WHERE id = ?", (id,)).fetchone()
    if row is None:
        known = [row[0] for row in file.execute("SELECT id FROM batches")]
        raise NotFound("batch", id, known)
    batch: dict[str, Any] = orjson.loads(row[0])
    return batch
