"""One batch of a service, run to its end by the replica that holds its lease."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from typing import Any

from motet.batch.files import Files
from motet.batch.lines import InputFile, Rules
from motet.batch.loading import LiveLoader
from motet.batch.output import write_results
from motet.batch.records import OPEN, Records
from motet.batch.results import Job
from motet.batch.run import Batch, Settings
from motet.composer.pipeline import Pipeline
from motet.errors import BatchError, InternalError, MotetError, NotFound, RequestError, StoreError
from motet.experts.fleet import ReadyFleet
from motet.service.motet import Motet
from motet.store.jobs import Jobs, Leased

log = logging.getLogger(__name__)

_COUNT_S = 1.0


class HeldBatch:
    """A batch that is this replica's to run.

    Parameters
    ----------
    held
        The store as the lease gives it: every change here is refused once the lease is another's,
        and so no end state comes from a replica that has lost it.
    now
        The clock that expiry goes by, in Unix seconds.
    """

    def __init__(self, id: str, held: Leased, motet: Motet, now: Callable[[], float]) -> None:
        self._id = id
        self._jobs = Jobs(held)
        self._records = Records(held)
        self._files = Files(held)
        self._motet = motet
        self._settings = motet.config.service.batches
        self._now = now

    async def run(self) -> None:
        """Bring the batch to its end, or raise what lets another try do so later.

        Raises
        ------
        BatchError
            It cannot go on now, or another replica has taken it.
        StoreError
            The store cannot be read or written.
        """
        batch = await self._records.get(self._id)
        if batch["status"] not in OPEN:  # another replica ended it before the lease was taken
            await self._jobs.forget(self._id)
            return
        try:
            await self._run(batch)
        except (BatchError, StoreError):
            raise
        except MotetError as error:
            await self._fail(error)
            log.error("batch %s failed: %s", self._id, error)
        except Exception:
            # Told first: what a replica meets that has lost its lease is no fault of anybody's.
            await self._fail(InternalError())
            log.exception("batch %s failed", self._id)

    async def _run(self, batch: dict[str, Any]) -> None:
        caller = await self._records.caller(batch["id"])
        rules = Rules(endpoint=batch["endpoint"], caller=caller)
        job = Job(batch["id"], batch["id"], batch["created_at"], rules)
        parts, live = self._motet.parts, self._motet.fleet  # to the end, whatever replaces them
        try:
            # Beside the event loop: the whole file is read, for its digest.
            source = await asyncio.to_thread(InputFile, self._files.path(batch["input_file_id"]))
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
            await asyncio.wait({run}, timeout=_COUNT_S)
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
        owner = (await self._records.caller(job.id)).tenant
        written, failed = await write_results(self._jobs, job.id, *paths)
        fields: dict[str, Any] = {}
        if written:
            await self._files.register(out, f"{job.id}_output.jsonl", "batch_output", owner)
            fields["output_file_id"] = out
        if failed:
            await self._files.register(errors, f"{job.id}_error.jsonl", "batch_output", owner)
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

    async def _fail(self, error: MotetError) -> None:
        fault = {"code": error.code, "message": str(error), "param": error.param, "line": None}
        await self._records.move(self._id, "failed", errors={"object": "list", "data": [fault]})


async def _whole(batch: Batch) -> None:
    await batch.prepare()
    await batch.run()
