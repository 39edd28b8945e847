"""The answer is a query that gives the rows of the reference query."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections import Counter
from contextlib import closing
from typing import Any, ClassVar

from pydantic import model_validator

from motet.grading.base import Grader, Reference, unfenced

_STEPS = 2_000_000  # of SQLite's virtual machine: about a second
_ROWS = 10_000
_READS = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}


class SqlReference(Reference):
    """Statements that fill a database, and a query whose rows are right."""

    setup: str
    query: str

    @model_validator(mode="after")
    def _runs(self) -> SqlReference:
        try:
            _rows(self.setup, self.query)
        except sqlite3.Error as error:
            raise ValueError(f"SQLite says: {error}") from None
        return self


class SqlGrader(Grader):
    """Runs both queries in SQLite, in memory, reading only, for a bounded time."""

    Reference: ClassVar[object] = SqlReference

    async def grade(self, prompt: str, answer: str, reference: SqlReference) -> float:
        """Return 1 when the rows are the same, in order where the reference orders them."""
        return await asyncio.to_thread(_grade, answer, reference)


def _grade(answer: str, reference: SqlReference) -> float:
    wanted = _rows(reference.setup, reference.query)
    try:
        given = _rows(reference.setup, _statement(answer))
    except (sqlite3.Error, sqlite3.Warning):
        return 0.0
    if re.search(r"\border\s+by\b", reference.query, re.IGNORECASE):
        return float(given == wanted)
    return float(Counter(given) == Counter(wanted))


def _statement(answer: str) -> str:
    return unfenced(answer).split(";")[0].strip()


def _rows(setup: str, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query on a fresh database, numbers rounded to nine digits."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(setup)
        database.set_progress_handler(lambda: 1, _STEPS)  # non-zero ends the query
        database.set_authorizer(
            lambda action, *_: sqlite3.SQLITE_OK if action in _READS else sqlite3.SQLITE_DENY
        )
        rows = database.execute(query).fetchmany(_ROWS)
    return [tuple(round(v, 9) if isinstance(v, float) else v for v in row) for row in rows]
