"""Decision records: one row a request, by the request's id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Double,
    Index,
    Table,
    Text,
    and_,
    func,
    or_,
    select,
)

from motet.errors import NotFound
from motet.store.database import Transactions
from motet.store.tables import METADATA, insert

DECIDED = "decided"
"""The outcome of a request that nobody has answered yet, or was to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """What is kept of a request; None where it is not known.

    Attributes
    ----------
    id
        The request's.
    time
        When it arrived, as Unix time in seconds.
    experts, calls
        JSON: the experts chosen, best first; every expert call.
    outcome, error
        `ok`, `cancelled`, `error` or `decided`, and the code of the error.
    author
        The expert whose words the client read.
    prompt, answer
        JSON and text, where texts are kept.
    size
        About how many bytes the row takes.
    """

    id: str
    time: float
    decision: str | None = None
    key: str | None = None
    tenant: str | None = None
    composition: str | None = None
    router: str | None = None
    experts: str | None = None
    reason: str | None = None
    confidence: float | None = None
    artifact: str | None = None
    outcome: str | None = None
    error: str | None = None
    author: str | None = None
    seconds: float | None = None
    first_chunk_s: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    calls: str | None = None
    prompt: str | None = None
    answer: str | None = None
    size: int = 0


_NUMBERS = {"time", "confidence", "seconds", "first_chunk_s", "cost_usd"}
_COUNTS = {"prompt_tokens", "completion_tokens", "size"}
DECISIONS = Table(
    "decisions",
    METADATA,
    Column("id", Text, primary_key=True),
    *(
        Column(
            field.name,
            Double if field.name in _NUMBERS else BigInteger if field.name in _COUNTS else Text,
            nullable=field.name not in ("time", "size"),
        )
        for field in fields(DecisionRow)[1:]
    ),
    Index("decisions_by_time", "time", "size"),
)
_NAMES = tuple(field.name for field in fields(DecisionRow))
_COLUMNS = [DECISIONS.c[name] for name in _NAMES]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which decisions are looked for.

    Attributes
    ----------
    since
        Unix time in seconds.
    expert
        One that was chosen or asked.
    outcome
        As in a row, or the code of an error.
    """

    since: float | None = None
    composition: str | None = None
    expert: str | None = None
    outcome: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what a row has to be."""
        columns, wanted = DECISIONS.c, []
        if self.since is not None:
            wanted.append(columns.time >= self.since)
        if self.composition is not None:
            wanted.append(columns.composition == self.composition)
        if self.expert is not None:
            quoted = f'"{self.expert}"'
            chosen = columns.experts.contains(quoted, autoescape=True)
            asked = columns.calls.contains(f'"expert":{quoted}', autoescape=True)
            wanted.append(or_(chosen, asked))
        if self.outcome is not None:
            wanted.append(or_(columns.outcome == self.outcome, columns.error == self.outcome))
        return wanted


class DecisionRows:
    """The decisions of one database."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def listing(self, wanted: Wanted, limit: int) -> list[DecisionRow]:
        """Return decisions, newest first."""
        query = select(*_COLUMNS).where(and_(True, *wanted.conditions()))
        query = query.order_by(DECISIONS.c.time.desc(), DECISIONS.c.id).limit(limit)
        rows = await self._database.do(lambda c: c.execute(query).mappings().all())
        return [DecisionRow(**row) for row in rows]

    async def get(self, id: str) -> DecisionRow:
        """Return the decision whose id, or whose request's id, begins so.

        Raises
        ------
        NotFound
            There is none, or there are several.
        """
        begins = (c.startswith(id, autoescape=True) for c in (DECISIONS.c.id, DECISIONS.c.decision))
        query = select(*_COLUMNS).where(or_(*begins)).limit(2)
        rows = await self._database.do(lambda c: c.execute(query).mappings().all())
        if len(rows) != 1:
            raise NotFound("decision", id, [row["decision"] or row["id"] for row in rows])
        return DecisionRow(**rows[0])


def keep(connection: Connection, rows: Sequence[DecisionRow]) -> None:
    """Keep rows; what is known of a request already stays where a new row does not know it."""
    adding = insert(connection, DECISIONS)
    known = {
        column.name: func.coalesce(adding.excluded[column.name], column) for column in _COLUMNS[1:]
    }
    adding = adding.on_conflict_do_update(index_elements=[DECISIONS.c.id], set_=known)
    # In one order everywhere, so that no two replicas wait for each other.
    ordered = sorted(rows, key=lambda row: row.id)
    connection.execute(adding, [{name: getattr(row, name) for name in _NAMES} for row in ordered])
