"""Files of a service: what is known of them; their content stands elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from motet.errors import NotFound
from motet.store.database import Connection, Transactions
from motet.store.paging import page

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


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file; `created` is Unix time in seconds."""

    id: str
    name: str
    purpose: str
    bytes: int
    created: int


class FileRows:
    """The files of one database."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def add(self, file: FileRow) -> None:
        """Make a file known; again changes nothing."""
        query = "INSERT OR IGNORE INTO files (id, name, purpose, bytes, created) VALUES (?,?,?,?,?)"
        values = (file.id, file.name, file.purpose, file.bytes, file.created)
        await self._database.write(lambda f: f.execute(query, values))

    async def get(self, id: str) -> FileRow:
        """Return a file.

        Raises
        ------
        NotFound
            There is none with that id.
        """

        def find(file: Connection) -> Any:
            row = file.execute("SELECT * FROM files WHERE id = ?", (id,)).fetchone()
            known = [] if row else [each[0] for each in file.execute("SELECT id FROM files")]
            return row, known

        row, known = await self._database.do(find)
        if row is None:
            raise NotFound("file", id, known)
        return FileRow(*row[1:])

    async def listing(
        self, after: str | None, limit: int, purpose: str | None
    ) -> tuple[list[FileRow], bool]:
        """Return files, newest first, behind the one called `after`; and whether more follow."""
        query = "SELECT * FROM files WHERE (? IS NULL OR purpose = ?)"
        rows, more = await page(self._database, "files", query, (purpose, purpose), after, limit)
        return [FileRow(*row[1:]) for row in rows], more

    async def remove(self, id: str) -> None:
        """Forget a file."""
        await self._database.write(lambda f: f.execute("DELETE FROM files WHERE id = ?", (id,)))
