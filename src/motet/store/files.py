"""Files of a service: what is known of them; their content stands elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from motet.errors import NotFound
from motet.store.database import Connection, Transactions
from motet.store.paging import OWN, page

SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE NOT NULL,
    name TEXT NOT NULL,
    purpose TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    created INTEGER NOT NULL,      -- Unix time in seconds
    owner TEXT NOT NULL DEFAULT '' -- whose key it came with; empty where none is asked for
);
"""

ADDED = ("files", "owner", "TEXT NOT NULL DEFAULT ''")
"""A column that files of before do not have."""
_COLUMNS = "id, name, purpose, bytes, created, owner"


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file; `created` is Unix time in seconds, `owner` whose key it came with."""

    id: str
    name: str
    purpose: str
    bytes: int
    created: int
    owner: str = ""


class FileRows:
    """The files of one database.

    Parameters
    ----------
    owner
        Whose files there are, for whoever asks here; None for those of everybody.
    """

    def __init__(self, database: Transactions, owner: str | None = None) -> None:
        self._database = database
        self._owner = owner

    async def add(self, file: FileRow) -> None:
        """Make a file known; again changes nothing."""
        query = """INSERT OR IGNORE INTO files (id, name, purpose, bytes, created, owner)
                   VALUES (?,?,?,?,?,?)"""
        values = (file.id, file.name, file.purpose, file.bytes, file.created, file.owner)
        await self._database.write(lambda f: f.execute(query, values))

    async def get(self, id: str) -> FileRow:
        """Return a file.

        Raises
        ------
        NotFound
            There is none with that id.
        """
        own = (self._owner, self._owner)

        def find(file: Connection) -> Any:
            one = f"SELECT {_COLUMNS} FROM files WHERE id = ? AND {OWN}"  # noqa: S608
            row = file.execute(one, (id, *own)).fetchone()
            names = file.execute(f"SELECT id FROM files WHERE {OWN}", own)  # noqa: S608
            return row, [] if row else [each[0] for each in names]

        row, known = await self._database.do(find)
        if row is None:
            raise NotFound("file", id, known)
        return FileRow(*row)

    async def listing(
        self, after: str | None, limit: int, purpose: str | None
    ) -> tuple[list[FileRow], bool]:
        """Return files, newest first, behind the one called `after`; and whether more follow."""
        query = f"SELECT {_COLUMNS} FROM files WHERE (? IS NULL OR purpose = ?) AND {OWN}"  # noqa: S608
        values = (purpose, purpose, self._owner, self._owner)
        rows, more = await page(self._database, "files", query, values, after, limit)
        return [FileRow(*row) for row in rows], more

    async def bytes(self) -> int:
        """Return how many bytes the files hold together."""
        query = f"SELECT COALESCE(SUM(bytes), 0) FROM files WHERE {OWN}"  # noqa: S608
        own = (self._owner, self._owner)
        return int(await self._database.do(lambda f: f.execute(query, own).fetchone()[0]))

    async def remove(self, id: str) -> None:
        """Forget a file."""
        await self._database.write(lambda f: f.execute("DELETE FROM files WHERE id = ?", (id,)))
