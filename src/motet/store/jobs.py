"""Batches under way: the jobs, their lines, and every expert call that was answered."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Concatenate

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Double,
    LargeBinary,
    Table,
    Text,
    and_,
    delete,
    false,
    func,
    select,
    update,
)

from motet.errors import BatchError
from motet.store.database import Database, P, T, Transactions
from motet.store.place import StorePlace
from motet.store.tables import METADATA, insert

JOBS = Table(
    "jobs",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("facts", Text, nullable=False),  # JSON: what makes it the same job, by name
    Column("created", BigInteger, nullable=False),  # Unix time in seconds
    Column("loads", BigInteger, nullable=False, server_default="0"),
    Column("seconds", Double, nullable=False, server_default="0"),
    Column("owner", Text),  # who runs it, until `lease`
    Column("lease", Double, nullable=False, server_default="0"),  # Unix time in seconds
)
LINES = Table(
    "lines",
    METADATA,
    Column("job", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("custom_id", Text),
    Column("decision", LargeBinary),
    Column("result", LargeBinary),
    Column("failed", Boolean, nullable=False, server_default=false()),
    sqlite_with_rowid=False,
)
CALLS = Table(
    "calls",
    METADATA,
    Column("job", Text, primary_key=True),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    Column("expert", Text, nullable=False),
    Column("answer", LargeBinary, nullable=False),  # JSON; see batch/answers.py
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("cost_usd", Double, nullable=False),
    sqlite_with_rowid=False,
)
_PAGE = 512


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
    def place(self) -> StorePlace:
        """Where it stands."""
        return self._database.place

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

        def held(connection: Connection) -> T:
            if connection.scalar(select(JOBS.c.owner).where(JOBS.c.id == self._job)) != self._owner:
                raise LeaseLost("Another process has taken this batch, or has ended it.")
            return work(connection)

        return await self._database.write(held)


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Jobs]:
    """Open a file that holds jobs and nothing else."""
    async with Database(StorePlace.file(path)) as database:
        await database.do(lambda _: None)  # a fault is told before anything is begun
        yield Jobs(database)


class Jobs:
    """The jobs of one database."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    @property
    def place(self) -> StorePlace:
        """Where they are kept."""
        return self._database.place

    def leased(self, job: str, owner: str) -> Leased:
        """Return the database as `owner` may use it while the job is its own."""
        return Leased(self._database, job, owner)

    async def facts(self, job: str) -> tuple[str, int] | None:
        """Return what a job was begun with, and when; None when there is no such job."""
        query = select(JOBS.c.facts, JOBS.c.created).where(JOBS.c.id == job)
        row = await self._database.do(lambda c: c.execute(query).one_or_none())
        return None if row is None else (row.facts, row.created)

    async def add_job(self, job: str, facts: str, created: int) -> None:
        """Keep a new job; where there is one already, nothing changes."""
        values = {"id": job, "facts": facts, "created": created}
        await self._database.write(
            lambda c: c.execute(insert(c, JOBS).on_conflict_do_nothing(), values)
        )

    async def forget(self, job: str) -> None:
        """Remove a job with all that belongs to it."""

        def remove(connection: Connection) -> None:
            for column in (CALLS.c.job, LINES.c.job, JOBS.c.id):
                connection.execute(delete(column.table).where(column == job))

        await self._database.write(remove)

    async def add_lines(
        self, job: str, rows: Iterable[LineRow], calls: Iterable[tuple[int, CallRow]] = ()
    ) -> None:
        """Keep lines that are planned, all or none, and what planning asked: line and call."""
        planned = [{"job": job, **asdict(row)} for row in rows]
        asked = [{"job": job, "line": line, **asdict(call)} for line, call in calls]

        def write(connection: Connection) -> None:
            for table, values in ((LINES, planned), (CALLS, asked)):
                if values:
                    connection.execute(insert(connection, table), values)

        await self._database.write(write)

    async def names(self, job: str) -> list[tuple[int, str | None]]:
        """Return number and custom_id of every planned line, in order."""
        query = select(LINES.c.number, LINES.c.custom_id).where(LINES.c.job == job)
        return await self._database.do(
            lambda c: [tuple(row) for row in c.execute(query.order_by(LINES.c.number))]
        )

    async def row(self, job: str, number: int) -> LineRow:
        """Return one line."""
        rows = await self._database.do(_rows, job, LINES.c.number == number)
        return rows[0]

    async def open_lines(self, job: str, after: int) -> Sequence[LineRow]:
        """Return some lines behind number `after` that have no result yet, in order."""
        still_open = and_(LINES.c.number > after, LINES.c.result.is_(None))
        return await self._database.do(_rows, job, still_open)

    async def finish_line(self, job: str, number: int, result: bytes, failed: bool) -> None:
        """Keep the result of a line."""
        line = and_(LINES.c.job == job, LINES.c.number == number)
        change = update(LINES).where(line).values(result=result, failed=failed)
        await self._database.write(lambda c: c.execute(change))

    async def answers(self, job: str, line: int) -> dict[str, bytes]:
        """Return the answered calls of a line by their keys, less those of planning."""
        asked = and_(CALLS.c.job == job, CALLS.c.line == line, CALLS.c.key.not_like(":%"))
        query = select(CALLS.c.key, CALLS.c.answer).where(asked)
        rows = await self._database.do(lambda c: c.execute(query).all())
        return {row.key: row.answer for row in rows}

    async def add_answer(self, job: str, line: int, call: CallRow) -> None:
        """Keep a finished call."""
        values = {"job": job, "line": line, **asdict(call)}
        await self._database.write(lambda c: c.execute(insert(c, CALLS), values))

    async def counts(self, job: str) -> tuple[int, int, int]:
        """Return how many lines there are, how many are completed, and how many have failed."""
        done = LINES.c.result.is_not(None)
        query = select(
            func.count(),
            func.count().filter(done, LINES.c.failed.is_(False)),
            func.count().filter(done, LINES.c.failed.is_(True)),
        ).where(LINES.c.job == job)
        lines, completed, failed = await self._database.do(lambda c: c.execute(query).one())
        return lines, completed, failed

    async def totals(self, job: str) -> list[ExpertTotal]:
        """Return what each expert has done, the busiest first."""
        calls = func.count()
        sums = [func.sum(CALLS.c[name]) for name in _SUMMED]
        query = select(CALLS.c.expert, calls, *sums).where(CALLS.c.job == job)
        query = query.group_by(CALLS.c.expert).order_by(calls.desc(), CALLS.c.expert)
        rows = await self._database.do(lambda c: c.execute(query).all())
        return [ExpertTotal(row[0], row[1], int(row[2]), int(row[3]), row[4]) for row in rows]

    async def add_effort(self, job: str, loads: int, seconds: float) -> None:
        """Add loads, and seconds of work, to a job's account."""
        more = {"loads": JOBS.c.loads + loads, "seconds": JOBS.c.seconds + seconds}
        change = update(JOBS).where(JOBS.c.id == job).values(more)
        await self._database.write(lambda c: c.execute(change))

    async def effort(self, job: str) -> tuple[int, float]:
        """Return the loads and seconds of a job over all its runs."""
        query = select(JOBS.c.loads, JOBS.c.seconds).where(JOBS.c.id == job)
        row = await self._database.do(lambda c: c.execute(query).one())
        return row.loads, row.seconds

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

        def take(connection: Connection) -> str | None:
            query = select(JOBS.c.owner, JOBS.c.lease).where(JOBS.c.id == job)
            holder, held_until = connection.execute(query).one()
            if holder is not None and held_until > time.time() and not gone(holder):
                return str(holder)
            taken = update(JOBS).where(JOBS.c.id == job).values(owner=owner, lease=until)
            connection.execute(taken)
            return None

        return await self._database.write(take)

    async def prolong(self, job: str, owner: str, until: float) -> bool:
        """Keep the right to run a job; return whether it was held still."""
        held = and_(JOBS.c.id == job, JOBS.c.owner == owner)
        change = update(JOBS).where(held).values(lease=until)
        return await self._database.write(lambda c: c.execute(change).rowcount == 1)

    async def release(self, job: str, owner: str) -> None:
        """Give the right to run a job back."""
        held = and_(JOBS.c.id == job, JOBS.c.owner == owner)
        change = update(JOBS).where(held).values(owner=None, lease=0.0)
        await self._database.write(lambda c: c.execute(change))

    async def alone(self, work: Callable[[], None]) -> None:
        """Do what is not of the store, such as renaming a file, while nobody can take the job."""
        await self._database.write(lambda _: work())

    async def copy_results(self, job: str, write: Callable[[bytes, bool], Any]) -> None:
        """Call `write` with every result, in the input's order, and whether the line failed."""
        ended = and_(LINES.c.job == job, LINES.c.result.is_not(None))
        query = select(LINES.c.result, LINES.c.failed).where(ended).order_by(LINES.c.number)

        def copy(connection: Connection) -> None:
            # A page at a time: together they may be more than the memory holds.
            for row in connection.execution_options(yield_per=_PAGE).execute(query):
                write(row.result, row.failed)

        await self._database.do(copy)


_LINE = [LINES.c[field.name] for field in fields(LineRow)]
_SUMMED = ("prompt_tokens", "completion_tokens", "cost_usd")


def _rows(connection: Connection, job: str, condition: ColumnElement[bool]) -> list[LineRow]:
    query = select(*_LINE).where(LINES.c.job == job, condition)
    rows = connection.execute(query.order_by(LINES.c.number).limit(_PAGE))
    return [LineRow(*row) for row in rows]
