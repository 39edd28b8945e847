"""The SQLite file in which batches are kept: decisions, every expert call, every result.

All access goes through one thread of its own, off the event loop. The file is in WAL mode with
`synchronous = NORMAL`: a killed process loses nothing that was kept, a power cut at most the last
answers, which are then asked again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from motet.batch.answers import Said
from motet.batch.lines import Place
from motet.errors import BatchError

P = ParamSpec("P")
T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY,
    facts TEXT NOT NULL,           -- JSON: what makes it the same job, by name
    created INTEGER NOT NULL,      -- Unix time in seconds
    loads INTEGER NOT NULL DEFAULT 0,
    seconds REAL NOT NULL DEFAULT 0,
    owner TEXT,                    -- who runs it, until `lease`
    lease REAL NOT NULL DEFAULT 0  -- Unix time in seconds
);
CREATE TABLE IF NOT EXISTS lines (
    job TEXT NOT NULL,
    number INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    size INTEGER NOT NULL,
    custom_id TEXT,
    decision BLOB,                 -- JSON; NULL where the line could not be decided
    result BLOB,                   -- the line of the output or error file; NULL until it has one
    failed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
    job TEXT NOT NULL,
    line INTEGER NOT NULL,
    key TEXT NOT NULL,
    expert TEXT NOT NULL,
    answer BLOB NOT NULL,          -- JSON; see answers.py
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    PRIMARY KEY (job, line, key)
) WITHOUT ROWID;
"""
_PAGE = 512


@dataclass(frozen=True, slots=True)
class Row:
    """A planned line as it is kept."""

    place: Place
    custom_id: str | None
    decision: bytes | None = None
    result: bytes | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Total:
    """What one expert has done for a job."""

    expert: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


class Store:
    """One file of batches; use it as an async context manager.

    Every method raises `BatchError` when the file cannot be read or written, such as on a full
    disk. What was kept before stays whole.
    """

    def __init__(self, path: Path, schema: str = "") -> None:
        self.path = path
        self._schema = _SCHEMA + schema
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="motet-batch-store")

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
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what `work` does with the file, in one transaction."""

        def transaction() -> T:
            with self._file:
                return work(self._file, *args, **kwargs)

        return await self._there(transaction)

    async def _there(self, work: Callable[[], T]) -> T:
        """Run `work` on the store's thread; SQLite's errors become ours."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as error:
            raise BatchError(
                f"{self.path}: {error}.",
                hint="Is the disk full? What was answered is kept; run it again to go on.",
            ) from error

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(self.path, timeout=30.0, check_same_thread=False)
        try:
            file.execute("PRAGMA journal_mode = WAL")
            file.execute("PRAGMA synchronous = NORMAL")
            file.executescript(self._schema)
        except sqlite3.Error:
            file.close()
            raise
        return file

    async def facts(self, job: str) -> tuple[str, int] | None:
        """Return what a job was begun with, and when; None when there is no such job."""
        query = "SELECT facts, created FROM jobs WHERE id = ?"
        found: tuple[str, int] | None = await self.do(lambda f: f.execute(query, (job,)).fetchone())
        return found

    async def add_job(self, job: str, facts: str, created: int) -> None:
        """Keep a new job."""
        query = "INSERT INTO jobs (id, facts, created) VALUES (?, ?, ?)"
        await self.do(lambda f: f.execute(query, (job, facts, created)))

    async def forget(self, job: str) -> None:
        """Remove a job with all that belongs to it."""

        def remove(file: sqlite3.Connection) -> None:
            for table, column in (("calls", "job"), ("lines", "job"), ("jobs", "id")):
                file.execute(f"DELETE FROM {table} WHERE {column} = ?", (job,))  # noqa: S608

        await self.do(remove)

    async def add_lines(self, job: str, rows: Iterable[Row]) -> None:
        """Keep lines that are planned, all or none."""
        query = "INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        values = [
            (job, *astuple(r.place), r.custom_id, r.decision, r.result, r.failed) for r in rows
        ]
        await self.do(lambda f: f.executemany(query, values))

    async def names(self, job: str) -> list[tuple[int, str | None]]:
        """Return number and custom_id of every planned line, in order."""
        query = "SELECT number, custom_id FROM lines WHERE job = ? ORDER BY number"
        return await self.do(lambda f: f.execute(query, (job,)).fetchall())

    async def row(self, job: str, number: int) -> Row:
        """Return one line."""
        rows = await self.do(_rows, job, "number = ?", number)
        return rows[0]

    async def open_lines(self, job: str, after: int) -> Sequence[Row]:
        """Return some lines behind number `after` that have no result yet, in order."""
        return await self.do(_rows, job, "number > ? AND result IS NULL", after)

    async def finish_line(self, job: str, number: int, result: bytes, failed: bool) -> None:
        """Keep the result of a line."""
        query = "UPDATE lines SET result = ?, failed = ? WHERE job = ? AND number = ?"
        await self.do(lambda f: f.execute(query, (result, failed, job, number)))

    async def answers(self, job: str, line: int) -> dict[str, Said]:
        """Return the answered calls of a line by their keys."""
        query = "SELECT key, answer FROM calls WHERE job = ? AND line = ?"
        found = await self.do(lambda f: f.execute(query, (job, line)).fetchall())
        return {key: Said.load(content) for key, content in found}

    async def add_answer(
        self, job: str, line: int, key: str, expert: str, answer: Said, cost_usd: float
    ) -> None:
        """Keep a finished call."""
        query = "INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        usage = (answer.usage.prompt_tokens, answer.usage.completion_tokens)
        values = (job, line, key, expert, answer.dump(), *usage, cost_usd)
        await self.do(lambda f: f.execute(query, values))

    async def counts(self, job: str) -> tuple[int, int, int]:
        """Return how many lines there are, how many are completed, and how many have failed."""
        query = """SELECT COUNT(*), COUNT(result) - TOTAL(result IS NOT NULL AND failed),
                   TOTAL(result IS NOT NULL AND failed) FROM lines WHERE job = ?"""
        found = await self.do(lambda f: f.execute(query, (job,)).fetchone())
        return int(found[0]), int(found[1]), int(found[2])

    async def totals(self, job: str) -> list[Total]:
        """Return what each expert has done, the busiest first."""
        query = """SELECT expert, COUNT(*), SUM(prompt_tokens), SUM(completion_tokens),
                   SUM(cost_usd) FROM calls WHERE job = ? GROUP BY expert ORDER BY 2 DESC, 1"""
        found = await self.do(lambda f: f.execute(query, (job,)).fetchall())
        return [Total(*values) for values in found]

    async def add_effort(self, job: str, loads: int, seconds: float) -> None:
        """Add loads, and seconds of work, to a job's account."""
        query = "UPDATE jobs SET loads = loads + ?, seconds = seconds + ? WHERE id = ?"
        await self.do(lambda f: f.execute(query, (loads, seconds, job)))

    async def effort(self, job: str) -> tuple[int, float]:
        """Return the loads and seconds of a job over all its runs."""
        query = "SELECT loads, seconds FROM jobs WHERE id = ?"
        found: tuple[int, float] = await self.do(lambda f: f.execute(query, (job,)).fetchone())
        return found

    async def copy_results(self, job: str, write: Callable[[bytes, bool], Any]) -> None:
        """Call `write` with every result, in the input's order, and whether the line failed."""
        query = (
            "SELECT result, failed FROM lines WHERE job = ? AND result IS NOT NULL ORDER BY number"
        )

        def copy(file: sqlite3.Connection) -> None:
            with closing(file.execute(query, (job,))) as found:
                for result, failed in found:
                    write(result, bool(failed))

        await self.do(copy)


def _rows(file: sqlite3.Connection, job: str, condition: str, value: int) -> list[Row]:
    columns = "number, offset, size, custom_id, decision, result, failed"
    query = (
        f"SELECT {columns} FROM lines WHERE job = ? AND {condition} ORDER BY number LIMIT {_PAGE}"  # noqa: S608
    )
    return list(map(_row, file.execute(query, (job, value))))


def _row(values: tuple[Any, ...]) -> Row:
    *place, custom_id, decision, result, failed = values
    return Row(Place(*place), custom_id, decision, result, bool(failed))
