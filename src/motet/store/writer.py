"""Rows kept a moment later, by one thread: whoever brings them waits for no database."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Double, Table, Text, delete

from motet.errors import StoreError
from motet.ids import new_id
from motet.store.database import Database, Unfit
from motet.store.tables import METADATA, insert

log = logging.getLogger(__name__)

WRITERS = Table(
    "writers",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),  # of its last transaction
    Column("time", Double, nullable=False),  # when that was, in Unix seconds
)
_EVERY_S = 0.25
"""Seconds that rows gather: what a killed process loses, with the transaction under way."""
_RETRY_S = 1.0
"""Seconds between two tries while the database is away."""
_TIDY_S = 60.0
_LAST_S = 3.0
"""Seconds for what still waits when the service closes."""
_FORGOTTEN_S = 86_400.0
_AT_ONCE = 2000
"""Rows in one transaction."""

Keep = Callable[[Connection, Sequence[Any]], None]
"""What puts rows of one kind into their table."""
Tidy = Callable[[Connection], bool]
"""Removes some of what is too old, alone; returns whether there is more of it."""
Heard = Callable[[bool, int], None]
"""Is told whether the store is up, and how many more rows were dropped."""


class Writer:
    """Keeps rows in batches, each row once, and tidies up in between.

    Rows that come while the database is away, or faster than it takes them, wait within bounds;
    those beyond are dropped and counted. A transaction whose end was not heard is tried again
    under the same number, and so counts once.

    Parameters
    ----------
    most_rows, most_bytes
        What may wait.

    Attributes
    ----------
    up
        Whether the database took what was last brought to it.
    dropped
        Rows that were not kept.
    heard
        Told of every change of the two, in whichever thread it comes.
    """

    def __init__(
        self,
        database: Database,
        tidy: Tidy,
        *,
        most_rows: int = 50_000,
        most_bytes: int = 64 * 2**20,
    ) -> None:
        self.up = True
        self.dropped = 0
        self.heard: Heard = lambda up, dropped: None
        self._database = database
        self._tidy = tidy
        self._tidy_at = 0.0
        self._most_rows = most_rows
        self._most_bytes = most_bytes
        self._rows: deque[tuple[Keep, Any, int]] = deque()
        self._bytes = 0
        self._changing = threading.Lock()
        self._id = new_id("writer")
        self._number = 1
        self._tried = 0
        self._ending = threading.Event()
        # A daemon: a database that hangs must not keep the process alive.
        self._thread = threading.Thread(target=self._work, name="motet-writer", daemon=True)

    def start(self) -> None:
        """Begin to keep what is put."""
        self._thread.start()

    def close(self) -> None:
        """Keep what waits, for a moment, and end the thread."""
        self._ending.set()
        self._thread.join(_LAST_S)
        if self._rows:
            log.error("%d records could not be kept before the end", len(self._rows))

    def put(self, keep: Keep, row: Any, size: int) -> None:
        """Have a row of about `size` bytes kept soon."""
        with self._changing:
            has_room = len(self._rows) < self._most_rows and self._bytes + size <= self._most_bytes
            if has_room:
                self._rows.append((keep, row, size))
                self._bytes += size
        if not has_room:
            self._drop("more wait than may")

    def _work(self) -> None:
        while not self._ending.wait(_EVERY_S if self.up else _RETRY_S):
            self._turn()
        self._turn()

    def _turn(self) -> None:
        """Keep all that waits, then tidy up where it is time to."""
        try:
            while self._keep():
                pass
            if time.monotonic() >= self._tidy_at:
                more = self._database.transact(self._tidied, alone=True)
                self._tidy_at = time.monotonic() + (0.0 if more else _TIDY_S)
        except StoreError as error:
            if self.up:
                log.error("records wait, for the store is away: %s", error)
            self._turns(False)
        except Exception:
            # The edge to drivers: whatever one of them raises, the thread goes on.
            if self.up:
                log.exception("records wait, for the store fails")
            self._turns(False)
        else:
            if not self.up:
                log.warning("the store is back; %d records were dropped so far", self.dropped)
            self._turns(True)

    def _keep(self) -> bool:
        """Keep the first rows that wait; return whether there were any."""
        with self._changing:
            # After a failure the same rows again, since they may be kept already.
            rows = list(islice(self._rows, self._tried or _AT_ONCE))
        if not rows:
            return False
        self._tried = len(rows)
        try:
            self._database.transact(lambda connection: self._write(connection, rows))
        except (Unfit, ArithmeticError, TypeError, ValueError) as error:
            if len(rows) > 1:  # one of them does not fit: it is found by halves
                self._tried = len(rows) // 2
                return True
            self._drop(f"one does not fit: {error}")
        self._tried = 0
        self._number += 1
        with self._changing:
            for _ in rows:
                self._bytes -= self._rows.popleft()[2]
        return True

    def _write(self, connection: Connection, rows: Sequence[tuple[Keep, Any, int]]) -> None:
        adding = insert(connection, WRITERS)
        said = {name: adding.excluded[name] for name in ("number", "time")}
        is_new = WRITERS.c.number < adding.excluded.number
        adding = adding.on_conflict_do_update(
            index_elements=[WRITERS.c.id], set_=said, where=is_new
        ).returning(WRITERS.c.number)
        values = {"id": self._id, "number": self._number, "time": time.time()}
        if connection.scalar(adding, values) is None:
            return  # the last try was kept after all
        kinds: dict[Keep, list[Any]] = defaultdict(list)
        for keep, row, _ in rows:
            kinds[keep].append(row)
        for keep, alike in kinds.items():
            keep(connection, alike)

    def _tidied(self, connection: Connection) -> bool:
        gone = WRITERS.c.time < time.time() - _FORGOTTEN_S
        connection.execute(delete(WRITERS).where(gone))
        return self._tidy(connection)

    def _drop(self, why: str) -> None:
        with self._changing:
            is_first = not self.dropped % self._most_rows
            self.dropped += 1
        if is_first:
            log.error("records are dropped: %s", why)
        self.heard(self.up, 1)

    def _turns(self, up: bool) -> None:
        self.up = up
        self.heard(up, 0)
