"""One SQLite file, its transactions on a thread of its own, off the event loop.

The file is in WAL mode with `synchronous = NORMAL`: a killed process loses nothing that was kept, a
power cut at most the last transactions.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, Self, TypeVar

from motet.errors import StoreError

P = ParamSpec("P")
T = TypeVar("T")

Connection = sqlite3.Connection


class Transactions(Protocol):
    """What may be done with a file of tables; `Database` is one, and `jobs.Leased`."""

    @property
    def path(self) -> Path:
        """The file."""

    async def do(
        self,
        work: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what `work`, which reads, does with the file, in one transaction."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Return what `work`, which writes, does in one transaction that nobody comes between."""


class Database:
    """A file of tables; use it as an async context manager.

    Every method raises `StoreError` when the file cannot be read or written, such as on a full
    disk. What was kept before stays whole.

    Parameters
    ----------
    schema
        Statements that make the tables where they are not there yet.
    added
        Columns that a table of before may lack: its name, the column's, and what it holds.
    """

    def __init__(self, path: Path, schema: str, added: Sequence[tuple[str, str, str]] = ()) -> None:
        self._path = path
        self._schema = schema
        self._added = added
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="motet-store")

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    async def __aenter__(self) -> Self:
        self._file = await self._there(self._open)
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._there(lambda: self._file.close())
        finally:
            self._thread.shutdown()

    async def do(
        self,
        work: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what `work`, which reads, does with the file, in one transaction."""

        def transaction() -> T:
            with self._file:
                return work(self._file, *args, **kwargs)

        return await self._there(transaction)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Return what `work`, which writes, does in one transaction that nobody comes between."""

        def alone(file: Connection) -> T:
            file.execute("BEGIN IMMEDIATE")  # else another process may write after `work` has read
            return work(file)

        return await self.do(alone)

    async def _there(self, work: Callable[[], T]) -> T:
        """Run `work` on the file's thread; SQLite's errors become ours."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"{self.path}: {error}.",
                hint="Is the disk full? What was kept before is whole; try again to go on.",
            ) from error

    def _open(self) -> Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Nobody else's to read: prompts and answers are in it. What SQLite puts beside it gets the
        # same rights.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        file = sqlite3.connect(self.path, timeout=30.0, check_same_thread=False)
        try:
            file.execute("PRAGMA journal_mode = WAL")
            file.execute("PRAGMA synchronous = NORMAL")
            file.executescript(self._schema)
            for table, column, kind in self._added:
                columns = [row[1] for row in file.execute(f"PRAGMA table_info({table})")]
                if column not in columns:
                    file.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
        except sqlite3.Error:
            file.close()
            raise
        return file
