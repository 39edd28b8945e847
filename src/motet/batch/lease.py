"""Who runs a job: one process at a time, and another one when it is gone."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time

from motet.errors import BatchError, StoreError
from motet.ids import new_id
from motet.store.jobs import Jobs, Leased

log = logging.getLogger(__name__)


class Held(BatchError):
    """Another process runs the batch."""


_LEASE_S = 15.0
_RENEW_S = 5.0


class Lease:
    """The right to run a job, renewed while the block runs, which gets a database to run it with.

    Its holder is named `host:pid:token`. A lease counts as given back when it has not been renewed
    for 15 seconds, or at once when its holder was a process of this host that is gone.
    """

    def __init__(self, jobs: Jobs, job: str) -> None:
        self._jobs = jobs
        self._job = job
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{new_id('run')}"
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Leased:
        """Take the lease, and return the database with which only its holder changes anything.

        Raises
        ------
        Held
            Another process runs the job.
        """
        holder = await self._jobs.take(self._job, self._owner, _until(), _gone)
        if holder is not None:
            host, pid, _ = holder.rsplit(":", 2)
            raise Held(
                f"Process {pid} on {host} is running this batch.",
                hint="Wait for it, or stop it first; what it has answered is kept.",
            )
        self._renewing = asyncio.create_task(self._renew())
        return self._jobs.leased(self._job, self._owner)

    async def __aexit__(self, *_: object) -> None:
        if self._renewing:
            self._renewing.cancel()
        await self._jobs.release(self._job, self._owner)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_S)
            try:
                if not await self._jobs.prolong(self._job, self._owner, _until()):
                    return  # the next change that the run makes is refused
            except StoreError as error:  # the run will meet the same fault, and say so
                log.error("a lease could not be renewed: %s", error)


def _until() -> float:
    return time.time() + _LEASE_S


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
