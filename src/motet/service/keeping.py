"""What a service keeps: its store, opened once, and the records of its requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from motet.config import Config, Document
from motet.errors import StoreError
from motet.operations.records import DecisionLog
from motet.service.motet import Motet
from motet.store import moderations, sessions
from motet.store.database import Database
from motet.store.decisions import DECISIONS
from motet.store.place import StorePlace
from motet.store.responses import RESPONSES
from motet.store.retention import trimmer
from motet.store.sessions import SessionRows
from motet.store.writer import Tidy, Writer, all_of


class Keeper:
    """Keeps records of what a `Motet` answers; an async context manager around its own.

    >>> motet = Motet.from_file("experts.yaml")                       # doctest: +SKIP
    ... async with Keeper(motet), motet: ...

    Nothing waits for the store: a service starts and answers without it, and says so here.

    Attributes
    ----------
    database
        The store, for whatever else is kept.
    writer
        What keeps records, a moment later.
    """

    def __init__(self, motet: Motet) -> None:
        settings = motet.config.store
        self.database = Database(StorePlace.of(motet.document))
        self.writer = Writer(self.database, _tidy(motet.config))
        motet.memory.keep_in(SessionRows(self.database), self.writer)
        self._motet = motet
        if settings.records:
            motet.observers.add(DecisionLog(self.writer, settings, self._artifact))

    async def __aenter__(self) -> Self:
        self.writer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.writer.close)
        await asyncio.to_thread(self.database.close)

    @property
    def state(self) -> dict[str, Any]:
        """Whether the store is up, and how many records were not kept."""
        return {"up": self.writer.up, "dropped": self.writer.dropped}

    def _artifact(self, router: str) -> str | None:
        known = self._motet.parts.routers.get(router)
        return known.artifact if known else None


def _tidy(config: Config) -> Tidy:
    """Return what removes rows that are too old or too many."""
    retention, bounds = config.store.retention, config.sessions
    return all_of(
        trimmer(DECISIONS, retention.days, int(retention.size)),
        trimmer(RESPONSES, retention.responses_days, int(retention.responses_size)),
        moderations.forgetter(retention.days),
        sessions.forgetter(bounds.days, bounds.most),
    )


@asynccontextmanager
async def kept_by(document: Document) -> AsyncIterator[Database]:
    """Give the store of a config, to read what a service has kept there.

    Raises
    ------
    StoreError
        Nothing has been kept yet.
    """
    place = StorePlace.of(document)
    if place.path is not None and not place.path.exists():
        raise StoreError(
            f"{place}: nothing is kept here yet.",
            hint=f"Is {document.name} the config that was served, and on this machine?",
        )
    async with Database(place) as database:
        yield database
