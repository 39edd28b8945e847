"""Who runs a job: one process at a time, and another one when it is gone."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sqlite3
import time
from typing import Self

from motet.batch.store import Store
from motet.errors import BatchError
from motet.types import new_id

log = logging.getLogger(__name__)


class Held(BatchError):
    """Another process runs the batch."""


_LEASE_S = 15.0
_RENEW_S = 5.0


class Lease:
    """The right to run a job, renewed while the block runs.

    Its holder is named `host:pid:token`. A lease counts as given back when it has not been renewed
    for 15 seconds, or at once when its holder was a process of this host that is gone.
    """

    def __init__(self, store: Store, job: str) -> None:
        self._store = store
        self._job = job
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{new_id('run')}"
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Take the lease.

        Raises
        ------
        Held
            Another process runs the job.
        """
        holder = await self._store.do(self._take)
        if holder is not None:
            host, pid, _ = holder.rsplit(":", 2)
            raise Held(
                f"Process {pid} on {host} is running this batch.",
                hint="Wait for it, or stop it first; what it has answered is kept.",
            )
        self._renewing = asyncio.create_task(self._renew())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._renewing:
            self._renewing.cancel()
        query = "UPDATE jobs SET owner = NULL, lease = 0 WHERE id = ? AND owner = ?"
        await self._store.do(lambda f: f.execute(query, (self._job, self._owner)))

    def _take(self, file: sqlite3.Connection) -> str | None:
        """Take the lease in one transaction; return who holds it instead, if anybody does."""
        file.execute("BEGIN IMMEDIATE")  # else two processes could read before either writes
        query = "SELECT owner, lease FROM jobs WHERE id = ?"
        owner, until = file.execute(query, (self._job,)).fetchone()
        if owner is not None and until > time.time() and not _gone(owner):
            return str(owner)
        query = "UPDATE jobs SET owner = ?, lease = ? WHERE id = ?"
        file.execute(query, (self._owner, time.time() + _LEASE_S, self._job))
        return None

    def _prolong(self, file: sqlite3.Connection) -> None:
        query = "UPDATE jobs SET lease = ? WHERE id = ? AND owner = ?"
        file.execute(query, (time.time() + _LEASE_S, self._job, self._owner))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_S)
            try:
                await self._store.do(self._prolong)
            except BatchError as error:  # the run will meet the same fault, and say so
                log.error("a lease could not be renewed: %s", error)


def _gone(owner: str) -> bool:
    """Return whether the holder was a process of this host that has ended."""
    host, pid, _ = owner.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
