"""One database, SQLite or PostgreSQL: its transactions, off the event loop, and its faults.

It is opened at its first transaction, which brings the tables up to date, and looks at them again
after a fault: a database that comes back, or another one in its place, is used as soon as it is
there. SQLite is in WAL mode with `synchronous = NORMAL`: a killed process loses nothing that was
kept, a power cut at most the last transactions.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DataError, IntegrityError, SQLAlchemyError

from motet.errors import ConfigError, StoreError
from motet.store import migrations
from motet.store.place import StorePlace

P = ParamSpec("P")
T = TypeVar("T")

_LOCK = 0x6D6F746574
"""The lock of PostgreSQL that whoever writes alone holds: "motet" in ASCII."""
_WAIT_S = 30
"""Seconds to wait for whoever writes now."""
_POSTGRESQL: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "prepare_threshold": None,  # poolers between here and the server know no prepared statements
}
"""How soon a database that does not answer is given up, and what may stand before it."""


class Unfit(StoreError):
    """What was to be kept does not fit its table, as no second try will change."""


class Transactions(Protocol):
    """What may be done with a database; `Database` is one, and `jobs.Leased`."""

    @property
    def place(self) -> StorePlace:
        """Where it stands."""

    async def do(
        self,
        work: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what `work`, which reads, does with the database, in one transaction."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Return what `work`, which writes, does in one transaction that nobody comes between."""


class Database:
    """The database at a place; closed at the end of a `with` block, or by `close`.

    Every transaction raises `StoreError` when the database cannot be read or written, such as on a
    full disk. What was kept before stays whole.
    """

    def __init__(self, place: StorePlace) -> None:
        self.place = place
        self._engine = _engine(place)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="motet-store")
        self._preparing = threading.Lock()
        self._is_ready = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """End what runs, and give the connections back."""
        self._thread.shutdown()
        self._engine.dispose()

    async def do(
        self,
        work: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what `work`, which reads, does with the database, in one transaction."""
        return await self._there(lambda: self.transact(lambda c: work(c, *args, **kwargs)))

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Return what `work`, which writes, does in one transaction that nobody comes between."""
        return await self._there(lambda: self.transact(work, alone=True))

    async def _there(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def transact(self, work: Callable[[Connection], T], *, alone: bool = False) -> T:
        """Return what `work` does in one transaction, in this thread.

        Parameters
        ----------
        alone
            Whether nobody else may write meanwhile, which `work` needs when it writes what follows
            from what it has read.
        """
        try:
            self._prepare()
            return self._run(work, alone)
        except (DataError, IntegrityError) as error:
            raise Unfit(f"{self.place}: {_words(error)}") from error.orig
        except (SQLAlchemyError, OSError) as error:
            self._is_ready = False
            raise StoreError(
                f"{self.place}: {_words(error)}", hint=self.place.hint, retry_after=5.0
            ) from getattr(error, "orig", error)

    def _prepare(self) -> None:
        """Bring the tables up to date, unless they were when last seen."""
        with self._preparing:
            if self._is_ready:
                return
            if self.place.path is not None:
                self.place.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                # Nobody else's to read: prompts and answers may be in it. What SQLite puts beside
                # it gets the same rights.
                os.close(os.open(self.place.path, os.O_CREAT | os.O_RDWR, 0o600))
            if self._run(migrations.behind, alone=False):
                self._run(migrations.upgrade, alone=True)
            self._is_ready = True

    def _run(self, work: Callable[[Connection], T], alone: bool) -> T:
        with self._engine.connect().execution_options(alone=alone) as connection:
            with connection.begin():
                if alone and connection.dialect.name == "postgresql":
                    # A holder that is paused must not keep the others out for ever.
                    for bound in ("lock_timeout", "idle_in_transaction_session_timeout"):
                        connection.execute(text(f"SET LOCAL {bound} = '{_WAIT_S}s'"))
                    connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
                return work(connection)


def _engine(place: StorePlace) -> Engine:
    if place.path is None:
        try:
            url = make_url(place.url).set(drivername="postgresql+psycopg")
        except (ArgumentError, ValueError):  # whose words hold the password
            raise ConfigError(
                "store.url is no URL that can be read.",
                hint="Write postgresql://user:${PASSWORD}@host:5432/database; characters such as "
                "@ and / in a password stand as %40 and %2F.",
            ) from None
        return create_engine(
            url,
            connect_args=_POSTGRESQL,
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=2,
        )
    url = URL.create("sqlite", database=str(place.path))
    engine = create_engine(url, connect_args={"timeout": _WAIT_S}, hide_parameters=True)
    event.listen(engine, "connect", _opened)
    event.listen(engine, "begin", _begun)
    return engine


def _opened(file: Any, _: object) -> None:
    file.isolation_level = None  # transactions begin where we say so, and not at the first change
    file.execute("PRAGMA auto_vacuum = INCREMENTAL")
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("PRAGMA synchronous = NORMAL")


def _begun(connection: Connection) -> None:
    # Else another process may write after a transaction has read, and before it writes.
    alone = connection.get_execution_options().get("alone")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if alone else "BEGIN")


def _words(error: Exception) -> str:
    """Return what a driver says, without the statement and the values that it was about."""
    said = str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__]
    return f"{said[0].rstrip('.')}."
