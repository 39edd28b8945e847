"""What members of ensembles have said of texts, and what was learned of their labels."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Index,
    Table,
    Text,
    delete,
    select,
    update,
)

from motet.errors import NotFound, RequestError
from motet.store.database import Transactions
from motet.store.tables import METADATA, insert
from motet.store.writer import Tidy

MODERATIONS = Table(
    "moderations",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True),  # of the text
    Column("moderation", Text, nullable=False),
    Column("time", Double, nullable=False),  # Unix seconds
    Column("scores", Text, nullable=False),  # JSON: by member and category
    Column("truth", Text),  # JSON: the label, once there is one
    Index("moderations_by_time", "time"),
)
ENSEMBLES = Table(
    "ensembles",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False),  # JSON
)
_GONE = 2000
_DAY_S = 86_400.0

Scores = dict[str, dict[str, float]]
Learn = Callable[[str, Scores, Mapping[str, Any] | None], dict[str, Any]]
"""Returns an ensemble's new state, of its name, what members said, and its state of before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModerationRow:
    """What members have said of one text; `scores` is JSON."""

    id: str
    number: int
    moderation: str
    time: float
    scores: str


def keep(connection: Connection, rows: Sequence[ModerationRow]) -> None:
    """Keep rows."""
    connection.execute(
        insert(connection, MODERATIONS).on_conflict_do_nothing(), [asdict(row) for row in rows]
    )


def forgetter(days: float | None) -> Tidy:
    """Return what removes rows older than so many days; what was learned of them stays."""

    def forget(connection: Connection) -> bool:
        if days is None:
            return False
        old = select(MODERATIONS.c.id).where(MODERATIONS.c.time < time.time() - days * _DAY_S)
        ids = list(connection.scalars(old.limit(_GONE)))
        if ids:
            connection.execute(delete(MODERATIONS).where(MODERATIONS.c.id.in_(ids)))
        return len(ids) == _GONE

    return forget


class ModerationRows:
    """The moderations and the ensembles of one database."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def states(self) -> dict[str, dict[str, Any]]:
        """Return what every ensemble has learned, by name."""
        query = select(ENSEMBLES.c.name, ENSEMBLES.c.state)
        rows = await self._database.do(lambda c: c.execute(query).all())
        return {row.name: orjson.loads(row.state) for row in rows}

    async def label(
        self, id: str, number: int, truth: Mapping[str, bool], learn: Learn
    ) -> tuple[str, dict[str, Any]]:
        """Keep the label of a text, with what its ensemble learns of it; return name and state.

        Nobody else's label comes between, so that each is learned from once, on all replicas.

        Raises
        ------
        NotFound
            Nothing has judged a text of that id and number.
        RequestError
            It has a label.
        """

        def write(connection: Connection) -> tuple[str, dict[str, Any]]:
            here = (MODERATIONS.c.id == id) & (MODERATIONS.c.number == number)
            row = connection.execute(select(MODERATIONS).where(here)).first()
            if row is None:
                hint = "An ensemble has not judged it, it was not kept, or it is too old."
                raise NotFound("moderation", f"{id} {number}", hint=hint)
            if row.truth is not None:
                raise RequestError(f"The text {number} of {id!r} has a label already.", param="id")
            query = select(ENSEMBLES.c.state).where(ENSEMBLES.c.name == row.moderation)
            before = connection.scalar(query)
            known = None if before is None else orjson.loads(before)
            state = learn(row.moderation, orjson.loads(row.scores), known)
            said = orjson.dumps(truth).decode()
            connection.execute(update(MODERATIONS).where(here).values(truth=said))
            values = {"name": row.moderation, "state": orjson.dumps(state).decode()}
            adding = insert(connection, ENSEMBLES)
            changed = {"state": adding.excluded.state}
            adding = adding.on_conflict_do_update(index_elements=["name"], set_=changed)
            connection.execute(adding, values)
            return row.moderation, state

        return await self._database.write(write)
