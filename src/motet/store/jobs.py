"""Batches under way: the jobs, their lines, and every expert call that was answered."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Concatenate

from motet.errors import BatchError
from motet.store.database import Connection, Database, P, T, Transactions

SCHEMA = """
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
    answer BLOB NOT NULL,          -- JSON; see batch/answers.py
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    PRIMARY KEY (job, line, key)
) WITHOUT ROWID;
"""
_PAGE = 512
_ADD_CALL = "INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class LineRow:
    """A planned line.

    Attributes
    ----------
    number, offset, size
        Where it stands in the input: its number, from 1, and its bytes.
    decision
        JSON; None where the line could not be decided.
    result
        The line of the output or error file; None until it has one.
    """

    number: int
    offset: int
    size: int
    custom_id: str | None
    decision: bytes | None = None
    result: bytes | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class CallRow:
    """A finished call: its key within the line, whom it asked, the answer as JSON, what it took.

    The key of a call that was made in planning begins with a colon; it is there to be counted.
    """

    key: str
    expert: str
    answer: bytes
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


@dataclass(frozen=True, slots=True)
class ExpertTotal:
    """What one expert has done for a job."""

    expert: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


class LeaseLost(BatchError):
    """Another process has taken the job, or has ended it."""


class Leased:
    """A database as the holder of a job's lease sees it: one that has lost it changes nothing.

    Whoever is paused past its lease does not know it. So the right is looked at in the transaction
    of every change, and not by any clock: each taker is an owner of its own.
    """

    def __init__(self, database: Transactions, job: str, owner: str) -> None:
        self._database = database
        self._job = job
        self._owner = owner

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    async def do(
        self,
        work: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what `work` reads; see `Transactions`."""
        return await self._database.do(work, *args, **kwargs)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` does; see `Transactions`.

        Raises
        ------
        LeaseLost
            The lease is another's; nothing is written.
        """

        def held(file: Connection) -> T:
            query = "SELECT owner FROM jobs WHERE id = ?"
            row = file.execute(query, (self._job,)).fetchone()
            if row is None or row[0] != self._owner:
                raise LeaseLost("Another process has taken this batch, or has ended it.")
            return work(file)

        return await self._database.write(held)


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Jobs]:
    """Open a file that holds jobs and nothing else."""
    async with Database(path, SCHEMA) as database:
        yield Jobs(database)


class Jobs:
    """The jobs of one database."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    @property
    def path(self) -> Path:
        """The file they are in."""
        return self._database.path

    def leased(self, job: str, owner: str) -> Leased:
        """Return the database as `owner` may use it while the job is its own."""
        return Leased(self._database, job, owner)

    async def facts(self, job: str) -> tuple[str, int] | None:
        """Return what a job was begun with, and when; None when there is no such job."""
        query = "SELECT facts, created FROM jobs WHERE id = ?"
        row: tuple[str, int] | None = await self._database.do(
            lambda f: f.execute(query, (job,)).fetchone()
        )
        return row

    async def add_job(self, job: str, facts: str, created: int) -> None:
        """Keep a new job; where there is one already, nothing changes."""
        query = "INSERT OR IGNORE INTO jobs (id, facts, created) VALUES (?, ?, ?)"
        await self._database.write(lambda f: f.execute(query, (job, facts, created)))

    async def forget(self, job: str) -> None:
        """Remove a job with all that belongs to it."""

        def remove(file: Connection) -> None:
            for table, column in (("calls", "job"), ("lines", "job"), ("jobs", "id")):
                file.execute(f"DELETE FROM {table} WHERE {column} = ?", (job,))  # noqa: S608

        await self._database.write(remove)

    async def add_lines(
        self, job: str, rows: Iterable[LineRow], calls: Iterable[tuple[int, CallRow]] = ()
    ) -> None:
        """Keep lines that are planned, all or none, and what planning asked: line and call."""
        query = "INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        values = [
            (job, r.number, r.offset, r.size, r.custom_id, r.decision, r.result, r.failed)
            for r in rows
        ]
        asked = [(job, line, *astuple(call)) for line, call in calls]

        def write(file: Connection) -> None:
            file.executemany(query, values)
            file.executemany(_ADD_CALL, asked)

        await self._database.write(write)

    async def names(self, job: str) -> list[tuple[int, str | None]]:
        """Return number and custom_id of every planned line, in order."""
        query = "SELECT number, custom_id FROM lines WHERE job = ? ORDER BY number"
        return await self._database.do(lambda f: f.execute(query, (job,)).fetchall())

    async def row(self, job: str, number: int) -> LineRow:
        """Return one line."""
        rows = await self._database.do(_rows, job, "number = ?", number)
        return rows[0]

    async def open_lines(self, job: str, after: int) -> Sequence[LineRow]:
        """Return some lines behind number `after` that have no result yet, in order."""
        return await self._database.do(_rows, job, "number > ? AND result IS NULL", after)

    async def finish_line(self, job: str, number: int, result: bytes, failed: bool) -> None:
        """Keep the result of a line."""
        query = "UPDATE lines SET result = ?, failed = ? WHERE job = ? AND number = ?"
        await self._database.write(lambda f: f.execute(query, (result, failed, job, number)))

    async def answers(self, job: str, line: int) -> dict[str, bytes]:
        """Return the answered calls of a line by their keys, less those of planning."""
        query = "SELECT key, answer FROM calls WHERE job = ? AND line = ? AND key NOT LIKE ':%'"
        rows = await self._database.do(lambda f: f.execute(query, (job, line)).fetchall())
        return dict(rows)

    async def add_answer(self, job: str, line: int, call: CallRow) -> None:
        """Keep a finished call."""
        values = (job, line, *astuple(call))
        await self._database.write(lambda f: f.execute(_ADD_CALL, values))

    async def counts(self, job: str) -> tuple[int, int, int]:
        """Return how many lines there are, how many are completed, and how many have failed."""
        query = """SELECT COUNT(*), COUNT(result) - TOTAL(result IS NOT NULL AND failed),
                   TOTAL(result IS NOT NULL AND failed) FROM lines WHERE job = ?"""
        row = await self._database.do(lambda f: f.execute(query, (job,)).fetchone())
        return int(row[0]), int(row[1]), int(row[2])

    async def totals(self, job: str) -> list[ExpertTotal]:
        """Return what each expert has done, the busiest first."""
        query = """SELECT expert, COUNT(*), SUM(prompt_tokens), SUM(completion_tokens),
                   SUM(cost_usd) FROM calls WHERE job = ? GROUP BY expert ORDER BY 2 DESC, 1"""
        rows = await self._database.do(lambda f: f.execute(query, (job,)).fetchall())
        return [ExpertTotal(*values) for values in rows]

    async def add_effort(self, job: str, loads: int, seconds: float) -> None:
        """Add loads, and seconds of work, to a job's account."""
        query = "UPDATE jobs SET loads = loads + ?, seconds = seconds + ? WHERE id = ?"
        await self._database.write(lambda f: f.execute(query, (loads, seconds, job)))

    async def effort(self, job: str) -> tuple[int, float]:
        """Return the loads and seconds of a job over all its runs."""
        query = "SELECT loads, seconds FROM jobs WHERE id = ?"
        row: tuple[int, float] = await self._database.do(
            lambda f: f.execute(query, (job,)).fetchone()
        )
        return row

    async def take(
        self, job: str, owner: str, until: float, gone: Callable[[str], bool]
    ) -> str | None:
        """Make `owner` the one who runs a job; return who holds it instead, if anybody does.

        Parameters
        ----------
        until
            When it counts as given back unless it is prolonged, as Unix time.
        gone
            Whether an owner has ended, so that its right is free at once.
        """

        def take(file: Connection) -> str | None:
            query = "SELECT owner, lease FROM jobs WHERE id = ?"
            holder, held_until = file.execute(query, (job,)).fetchone()
            if holder is not None and held_until > time.time() and not gone(holder):
                return str(holder)
            file.execute("UPDATE jobs SET owner = ?, lease = ? WHERE id = ?", (owner, until, job))
            return None

        return await self._database.write(take)

    async def prolong(self, job: str, owner: str, until: float) -> bool:
        """Keep the right to run a job; return whether it was held still."""
        query = "UPDATE jobs SET lease = ? WHERE id = ? AND owner = ?"
        done = await self._database.write(lambda f: f.execute(query, (until, job, owner)).rowcount)
        return done == 1

    async def release(self, job: str, owner: str) -> None:
        """Give the right to run a job back."""
        query = "UPDATE jobs SET owner = NULL, lease = 0 WHERE id = ? AND owner = ?"
        await self._database.write(lambda f: f.execute(query, (job, owner)))

    async def alone(self, work: Callable[[], None]) -> None:
        """Do what is not of the store, such as renaming a file, while nobody can take the job."""
        await self._database.write(lambda _: work())

    async def copy_results(self, job: str, write: Callable[[bytes, bool], Any]) -> None:
        """Call `write` with every result, in the input's order, and whether the line failed."""
        query = (
            "SELECT result, failed FROM lines WHERE job = ? AND result IS NOT NULL ORDER BY number"
        )

        def copy(file: Connection) -> None:
            with closing(file.execute(query, (job,))) as rows:
                for result, failed in rows:
                    write(result, bool(failed))

        await self._database.do(copy)


def _rows(file: Connection, job: str, condition: str, value: int) -> list[LineRow]:
    columns = "number, offset, size, custom_id, decision, result, failed"
    query = (
        f"SELECT {columns} FROM lines WHERE job = ? AND {condition} ORDER BY number LIMIT {_PAGE}"  # noqa: S608
    )
    return list(map(_row, file.execute(query, (job, value))))


def _row(values: tuple[Any, ...]) -> LineRow:
    number, offset, size, custom_id, decision, result, failed = values
    return LineRow(number, offset, size, custom_id, decision, result, bool(failed))
