"""Files of a service: rows in the store, content in a folder beside it.

A file's id is made here and looked up in the store, so no path ever comes from a client.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from motet.batch.store import Store
from motet.errors import BatchError, NotFound, RequestError
from motet.files import replacing
from motet.types import new_id

SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE NOT NULL,
    name TEXT NOT NULL,
    purpose TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    created INTEGER NOT NULL       -- Unix time in seconds
);
"""


class Files:
    """The files of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = store.path.with_name(f"{store.path.name}.files")

    async def add(self, name: str, source: BinaryIO) -> dict[str, Any]:
        """Keep what is uploaded, and return its file object."""
        id = new_id("file")

        def copy() -> None:
            self._folder.mkdir(parents=True, exist_ok=True)
            with replacing(self._folder / id) as temporary, temporary.open("wb") as target:
                shutil.copyfileobj(source, target)

        try:
            await asyncio.to_thread(copy)
        except OSError as error:
            raise BatchError(
                f"The file cannot be kept: {error.strerror or error}.",
                hint="Is the disk of the service full?",
            ) from error
        return await self.register(id, name, "batch")

    async def register(self, id: str, name: str, purpose: str) -> dict[str, Any]:
        """Make a file known whose content stands at `path(id)`; again changes nothing."""
        size = self.path(id).stat().st_size
        query = "INSERT OR IGNORE INTO files (id, name, purpose, bytes, created) VALUES (?,?,?,?,?)"
        values = (id, name, purpose, size, int(time.time()))
        await self._store.do(lambda f: f.execute(query, values))
        return await self.get(id)

    def path(self, id: str) -> Path:
        """Return where the content of a file stands; `id` must come from the store or from here."""
        return self._folder / id

    async def get(self, id: str) -> dict[str, Any]:
        """Return a file object.

        Raises
        ------
        NotFound
            There is none with that id.
        """

        def find(file: sqlite3.Connection) -> Any:
            found = file.execute("SELECT * FROM files WHERE id = ?", (id,)).fetchone()
            known = [row[0] for row in file.execute("SELECT id FROM files")] if not found else []
            return found, known

        found, known = await self._store.do(find)
        if found is None:
            raise NotFound("file", id, known)
        return _json(found)

    async def listing(
        self, after: str | None, limit: int, purpose: str | None
    ) -> tuple[list[dict[str, Any]], bool]:
        """Return files, newest first, behind the one called `after`; and whether more follow."""
        query = "SELECT * FROM files WHERE (? IS NULL OR purpose = ?)"
        rows, more = await page(self._store, "files", query, (purpose, purpose), after, limit)
        return [_json(row) for row in rows], more

    async def remove(self, id: str, users: Callable[[str], Any]) -> None:
        """Delete a file.

        Raises
        ------
        NotFound
            There is none with that id.
        RequestError
            `users` names a batch that still reads it.
        """
        await self.get(id)
        user = await users(id)
        if user is not None:
            raise RequestError(
                f"File {id!r} is the input of batch {user!r}, which has not ended.",
                hint="Cancel the batch, or wait for it.",
            )
        await self._store.do(lambda f: f.execute("DELETE FROM files WHERE id = ?", (id,)))
        await asyncio.to_thread(self.path(id).unlink, True)


async def page(
    store: Store, table: str, query: str, values: tuple[Any, ...], after: str | None, limit: int
) -> tuple[list[tuple[Any, ...]], bool]:
    """Return rows, newest first, behind that with the id `after`; and whether more follow.

    Raises
    ------
    RequestError
        There is no row `after`.
    """

    def find(file: sqlite3.Connection) -> Any:
        before = 2**62
        if after is not None:
            found = file.execute(f"SELECT row FROM {table} WHERE id = ?", (after,)).fetchone()  # noqa: S608
            if found is None:
                return None
            before = found[0]
        full = f"{query} AND row < ? ORDER BY row DESC LIMIT ?"
        return file.execute(full, (*values, before, limit + 1)).fetchall()

    rows = await store.do(find)
    if rows is None:
        raise RequestError(f"after: there is no {table[:-1]} {after!r}.", param="after")
    return rows[:limit], len(rows) > limit


def _json(row: tuple[Any, ...]) -> dict[str, Any]:
    _, id, name, purpose, size, created = row
    return {
        "id": id,
        "object": "file",
        "bytes": size,
        "created_at": created,
        "filename": name,
        "purpose": purpose,
        "status": "processed",
    }
