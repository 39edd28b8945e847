"""Batches of a running service: uploaded, run beside live requests, taken up after a restart.

Any number of ingress replicas share one store. Each looks every second for batches that have not
ended; the lease in the store gives each batch to exactly one of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from motet.batch.files import Files
from motet.batch.lease import Held, Lease
from motet.batch.lines import ENDPOINTS, InputFile, Rules
from motet.batch.loading import LiveLoader
from motet.batch.output import write_results
from motet.batch.records import Records
from motet.batch.results import Job
from motet.batch.run import Batch, Settings
from motet.composer.pipeline import Pipeline
from motet.config import Document
from motet.errors import (
    BatchError,
    InternalError,
    MotetError,
    NotFound,
    RequestError,
    StoreError,
    did_you_mean,
)
from motet.experts.fleet import ReadyFleet
from motet.protocol.batches import BatchBody
from motet.service.motet import Motet
from motet.store import batches, files, jobs
from motet.store.database import Database
from motet.store.jobs import Jobs
from motet.types import ANYBODY, Caller
from motet.weights import default_cache

log = logging.getLogger(__name__)

_LOOK_S = 1.0


class BatchService:
    """What `/v1/files` and `/v1/batches` stand on; use it as an async context manager.

    The store is made when the first file comes, and opened at start when it is there already.

    Parameters
    ----------
    now
        The clock that expiry goes by, in Unix seconds.
    """

    def __init__(self, motet: Motet, now: Callable[[], float] = time.time) -> None:
        self._motet = motet
        self._settings = motet.config.service.batches
        self._now = now
        schema = jobs.SCHEMA + files.SCHEMA + batches.SCHEMA
        self._database = Database(_place(motet.document), schema)
        self._jobs = Jobs(self._database)
        self._is_open = False
        self._opening = asyncio.Lock()
        self._wake = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        self._files = Files(self._database)
        self._records = Records(self._database)

    async def __aenter__(self) -> Self:
        if self._database.path.exists():
            try:
                await self._open()
            except StoreError as error:  # the service answers requests all the same
                log.error("batches are not available: %s", error)
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [*self._running.values(), *([self._looking] if self._looking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._is_open:
            await self._database.__aexit__()

    async def files(self) -> Files:
        """Return the files of this service."""
        await self._open()
        return self._files

    async def records(self) -> Records:
        """Return the batches of this service."""
        await self._open()
        return self._records

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
        await (await self.files()).get(body.input_file_id)
        batch = await self._records.add(body, caller)
        self._wake.set()
        return batch

    async def cancel(self, id: str) -> dict[str, Any]:
        """Tell a batch to stop; see `Records.cancel`."""
        batch = await (await self.records()).cancel(id)
        self._wake.set()
        return batch

    async def remove_file(self, id: str) -> None:
        """Delete a file; see `Files.remove`."""
        await (await self.files()).remove(id, self._records.user_of)

    async def _open(self) -> None:
        async with self._opening:
            if not self._is_open:
                await self._database.__aenter__()
                self._is_open = True
                self._looking = asyncio.create_task(self._look(), name="look for batches")

    async def _look(self) -> None:
        """Take up batches that nobody runs."""
        while True:
            self._wake.clear()
            try:
                await self._take_up()
            except StoreError as error:
                log.error("batches wait: %s", error)
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
            if await self._jobs.facts(id) is None:
                await self._jobs.add_job(id, "{}", batch["created_at"])
            async with Lease(self._jobs, id):
                await self._run(await self._records.get(id))
        except Held:
            await asyncio.sleep(_LOOK_S)
        except MotetError as error:
            log.error("batch %s stopped: %s", id, error)
            if not isinstance(error, BatchError | StoreError):
                await self._fail(id, error)
            await asyncio.sleep(_LOOK_S)  # the store may have room again later
        except Exception:
            log.exception("batch %s failed", id)
            await self._fail(id, InternalError())

    async def _run(self, batch: dict[str, Any]) -> None:
        caller = await self._records.caller(batch["id"])
        rules = Rules(endpoint=batch["endpoint"], caller=caller)
        job = Job(batch["id"], batch["id"], batch["created_at"], rules)
        parts, live = self._motet.parts, self._motet.fleet  # to the end, whatever replaces them
        try:
            path = self._files.path(batch["input_file_id"])
            source = await asyncio.to_thread(
                InputFile, path
            )  # which reads it whole, for its digest
        except BatchError:
            raise NotFound("file", batch["input_file_id"]) from None
        with source, self._motet.pipeline.in_use():
            await asyncio.to_thread(self._check, source)
            if batch["status"] == "validating":
                await self._records.move(job.id, "in_progress")
            fleet = ReadyFleet(parts.experts.values())
            pipeline = Pipeline(parts, fleet, self._motet.observers)
            settings = Settings(concurrency=self._settings.concurrency)
            loader = LiveLoader(live)
            run = asyncio.create_task(
                _whole(Batch(job, self._jobs, source, pipeline, loader, settings))
            )
            try:
                stopped = await self._watch(job.id, run)
            finally:
                run.cancel()
                await asyncio.gather(run, return_exceptions=True)
            await self._finish(job, stopped)

    def _check(self, source: InputFile) -> None:
        lines = sum(1 for _ in source.places())
        if not lines:
            raise RequestError("The input file has no line.")
        if lines > self._settings.max_lines:
            raise RequestError(
                f"The input file has {lines} lines, and a batch may have "
                f"{self._settings.max_lines}.",
                hint="Send several batches, or raise service.batches.max_lines.",
            )

    async def _watch(self, id: str, run: asyncio.Task[None]) -> str | None:
        """Wait for `run`, counting; return why it has to stop before its end, if it has to."""
        while not run.done():
            await asyncio.wait({run}, timeout=_LOOK_S)
            await self._records.count(id, *await self._jobs.counts(id))
            batch = await self._records.get(id)
            if batch["status"] == "cancelling":
                return "cancelled"
            if self._now() >= batch["expires_at"] and not run.done():
                return "expired"
        run.result()
        return None

    async def _finish(self, job: Job, stopped: str | None) -> None:
        """Write the result files and put the batch into its last state."""
        if stopped is not None:
            await self._close_lines(job, stopped)
        else:
            await self._records.move(job.id, "finalizing")
        digest = hashlib.sha256(job.id.encode()).hexdigest()[:31]
        out, errors = f"file-{digest}0", f"file-{digest}1"
        paths = self._files.path(out), self._files.path(errors)
        written, failed = await write_results(self._jobs, job.id, *paths)
        fields: dict[str, Any] = {}
        if written:
            await self._files.register(out, f"{job.id}_output.jsonl", "batch_output")
            fields["output_file_id"] = out
        if failed:
            await self._files.register(errors, f"{job.id}_error.jsonl", "batch_output")
            fields["error_file_id"] = errors
        await self._records.count(job.id, *await self._jobs.counts(job.id))
        state = stopped or "completed"
        if stopped is None and (await self._records.get(job.id))["status"] == "cancelling":
            state = "cancelled"
        await self._records.move(job.id, state, **fields)
        await self._jobs.forget(job.id)

    async def _close_lines(self, job: Job, stopped: str) -> None:
        """Give the lines that were not answered to their end a result that says so."""
        after = 0
        while rows := await self._jobs.open_lines(job.id, after):
            for row in rows:
                after = row.number
                text = f"This request was not answered before the batch was {stopped}."
                result = job.unfinished(after, row.custom_id, f"batch_{stopped}", text)
                await self._jobs.finish_line(job.id, after, result, True)

    async def _fail(self, id: str, error: MotetError) -> None:
        fault = {"code": error.code, "message": str(error), "param": error.param, "line": None}
        await self._records.move(id, "failed", errors={"object": "list", "data": [fault]})


async def _whole(batch: Batch) -> None:
    await batch.prepare()
    await batch.run()


def _place(document: Document) -> Path:
    """Return where the store of a config stands."""
    store = document.config.service.batches.store
    if store is not None:
        return document.folder / store.expanduser()
    name = hashlib.sha256(str((document.folder / document.name).resolve()).encode()).hexdigest()
    return default_cache() / "batches" / f"{name[:16]}.db"
