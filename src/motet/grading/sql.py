"""The answer is a query that gives the rows of the reference query."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from pydantic import model_validator

from motet.grading.base import Grader, Reference, unfenced
from motet.grading.sandbox import run

_SECONDS = 10.0
"""Of all that a grade takes; SQLite's own steps are bounded lower, and the same on any machine."""


class SqlReference(Reference):
    """Statements that fill a database, and a query whose rows are right."""

    setup: str
    query: str

    @model_validator(mode="after")
    def _runs(self) -> SqlReference:
        fault = run("sql_fault", self.setup, self.query, seconds=_SECONDS)
        if fault is None:
            raise ValueError("it takes too much time or memory")
        if fault:
            raise ValueError(f"SQLite says: {fault}")
        return self


class SqlGrader(Grader):
    """Runs both queries in SQLite, in memory, reading only, for a bounded time."""

    Reference: ClassVar[object] = SqlReference
    walled: ClassVar[bool] = True

    async def grade(self, prompt: str, answer: str, reference: SqlReference) -> float:
        """Return 1 when the rows are the same, in order where the reference orders them."""
        queries = (reference.setup, reference.query, unfenced(answer).split(";")[0].strip())
        return float(await asyncio.to_thread(run, "sql", *queries, seconds=_SECONDS) is True)
