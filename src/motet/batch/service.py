"""Batches of a running service: uploaded, run beside live requests, taken up after a restart.

Any number of ingress replicas share one store. Each looks every second for batches that have not
ended; the lease in the store gives each batch to exactly one of them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Self

from motet.batch.files import Files
from motet.batch.held import HeldBatch
from motet.batch.lease import Held, Lease
from motet.batch.lines import ENDPOINTS
from motet.batch.records import Records
from motet.errors import MotetError, RequestError, StoreError
from motet.protocol.batches import BatchBody
from motet.service.motet import Motet
from motet.store.database import Database
from motet.store.jobs import Jobs, LeaseLost
from motet.types import ANYBODY, Caller
from motet.wording import did_you_mean

log = logging.getLogger(__name__)

_LOOK_S = 1.0


class BatchService:
    """What `/v1/files` and `/v1/batches` stand on; use it as an async context manager.

    Parameters
    ----------
    database
        The service's; a store that is down is asked again as long as it takes.
    now
        The clock that expiry goes by, in Unix seconds.
    """

    def __init__(
        self, motet: Motet, database: Database, now: Callable[[], float] = time.time
    ) -> None:
        self._motet = motet
        self._settings = motet.config.service.batches
        self._now = now
        self._database = database
        self._jobs = Jobs(database)
        self._records = Records(database)
        self._wake = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._running: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        self._looking = asyncio.create_task(self._look(), name="look for batches")
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [*self._running.values(), *([self._looking] if self._looking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def files(self, caller: Caller = ANYBODY) -> Files:
        """Return the files of `caller`: to everybody else there are none of them."""
        return Files(self._database, caller.tenant, int(self._settings.max_kept_bytes))

    def records(self, caller: Caller = ANYBODY) -> Records:
        """Return the batches of `caller`: to everybody else there are none of them."""
        return Records(self._database, caller.tenant)

    async def create(self, body: BatchBody, caller: Caller = ANYBODY) -> dict[str, Any]:
        """Begin a batch.

        Raises
        ------
        RequestError
            Its endpoint is not one that batches can have, or there is no such file.
        """
        if body.endpoint not in ENDPOINTS:
            raise RequestError(
                f"endpoint: {body.endpoint!r} cannot be asked in a batch.",
                hint=did_you_mean(body.endpoint, ENDPOINTS),
                param="endpoint",
            )
        await self.files(caller).get(body.input_file_id)
        batch = await self._records.add(body, caller)
        self._wake.set()
        return batch

    async def cancel(self, id: str, caller: Caller = ANYBODY) -> dict[str, Any]:
        """Tell a batch to stop; see `Records.cancel`."""
        batch = await self.records(caller).cancel(id)
        self._wake.set()
        return batch

    async def remove_file(self, id: str, caller: Caller = ANYBODY) -> None:
        """Delete a file; see `Files.remove`."""
        await self.files(caller).remove(id, self._records.user_of)

    async def _look(self) -> None:
        """Take up batches that nobody runs."""
        waits = False
        while True:
            self._wake.clear()
            try:
                await self._take_up()
                waits = False
            except StoreError as error:
                if not waits:
                    log.error("batches wait: %s", error)
                waits = True
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _take_up(self) -> None:
        for id in await self._records.open():
            if len(self._running) >= self._settings.at_once:
                return
            if id not in self._running:
                task = asyncio.create_task(self._work(id), name=f"batch {id}")
                self._running[id] = task
                task.add_done_callback(lambda _, id=id: self._running.pop(id))  # type: ignore[misc]

    async def _work(self, id: str) -> None:
        """Run one batch to its end, unless another replica does."""
        try:
            batch = await self._records.get(id)
            await self._jobs.add_job(id, "{}", batch["created_at"])
            async with Lease(self._jobs, id) as held:
                await HeldBatch(id, held, self._motet, self._now).run()
        except (Held, LeaseLost):
            await asyncio.sleep(_LOOK_S)
        except MotetError as error:
            log.error("batch %s stopped: %s", id, error)
            await asyncio.sleep(_LOOK_S)  # the store may have room again later
