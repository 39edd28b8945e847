"""A file of requests answered into files: what `motet batch` does, as a function."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from motet.batch.facts import begin
from motet.batch.lease import Lease
from motet.batch.lines import InputFile, Rules
from motet.batch.loading import Loader
from motet.batch.outlook import Forecast
from motet.batch.output import write_results
from motet.batch.results import Job
from motet.batch.run import Batch, Settings
from motet.composer.parts import Parts
from motet.composer.pipeline import Pipeline
from motet.errors import BatchError
from motet.experts.fleet import ReadyFleet
from motet.operations.base import Observer
from motet.progress import Progress, silent
from motet.store.jobs import ExpertTotal, Jobs, opened

_JOB = "batch"


@dataclass(frozen=True, slots=True)
class BatchFiles:
    """Where the requests stand, and where answers and failed lines go."""

    source: Path
    out: Path
    errors: Path

    @classmethod
    def of(cls, source: Path, out: Path, errors: Path | None = None) -> BatchFiles:
        """Return the files of a batch; failed lines go to OUT with `.errors` unless said."""
        return cls(source, out, errors or out.with_name(f"{out.stem}.errors{out.suffix}"))

    @property
    def state(self) -> Path:
        """Where decisions and answers are kept as they come."""
        return self.out.with_name(f"{self.out.name}.state")

    def check(self, *, fresh: bool) -> None:
        """Refuse to replace what this batch has not written.

        Raises
        ------
        BatchError
            A folder is missing, two of the files are the same, or `out` is somebody else's.
        """
        for path in (self.out, self.errors):
            if not path.parent.is_dir():
                raise BatchError(f"{path}: there is no folder {path.parent}.")
        if len({path.resolve() for path in (self.source, self.out, self.errors)}) < 3:
            raise BatchError("IN, OUT and the file of --errors must be three different files.")
        if self.out.exists() and not self.state.exists() and not fresh:
            raise BatchError(
                f"{self.out} exists, and no batch is known that wrote it.",
                hint="Name another file, move it away, or replace it with --fresh.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """What a batch has done, over all its runs.

    Attributes
    ----------
    loads
        Times an engine was loaded.
    seconds
        Of work, from the first load on.
    experts
        What each expert has done, the busiest first.
    """

    lines: int
    completed: int
    failed: int
    loads: int
    seconds: float
    experts: tuple[ExpertTotal, ...]


class FileBatch:
    """A batch between two files: `prepare`, look at `forecasts` if you like, then `run`."""

    def __init__(self, batch: Batch, job: Job, jobs: Jobs, files: BatchFiles, order: str) -> None:
        self._batch = batch
        self._job = job
        self._jobs = jobs
        self._files = files
        self._order = order

    async def prepare(self, progress: Progress = silent) -> None:
        """Decide every line; see `Batch.prepare`."""
        self._batch.report = progress
        await self._batch.prepare()

    @property
    def loads(self) -> list[str]:
        """The engines in the order they are going to be loaded."""
        return self._batch.outlook.loads(self._batch.slots, self._order)

    @property
    def forecasts(self) -> list[Forecast]:
        """What each expert is going to do."""
        return self._batch.outlook.forecasts(self.loads)

    @property
    def budget(self) -> int | None:
        """Bytes that loaded engines may take together; None for no bound."""
        return self._batch.outlook.budget

    async def run(self, progress: Progress = silent) -> BatchReport:
        """Answer what is left, write both files, whole or not at all, and say what was done."""
        self._batch.report = progress
        await self._batch.run()
        await write_results(self._jobs, self._job.id, self._files.out, self._files.errors)
        lines, completed, failed = await self._jobs.counts(self._job.id)
        loads, seconds = await self._jobs.effort(self._job.id)
        return BatchReport(
            lines=lines,
            completed=completed,
            failed=failed,
            loads=loads,
            seconds=seconds,
            experts=tuple(await self._jobs.totals(self._job.id)),
        )


@asynccontextmanager
async def batch_from_file(
    parts: Parts,
    files: BatchFiles,
    loader: Loader,
    settings: Settings,
    *,
    model: str | None = None,
    fresh: bool = False,
    observer: Observer | None = None,
) -> AsyncIterator[FileBatch]:
    """Open a batch of a file, or go on with it where it was.

    Parameters
    ----------
    parts
        Their experts are loaded through `loader`, and not started otherwise.
    model
        For bodies that name no model.
    fresh
        Whether to forget what is kept of it, and replace the output.
    observer
        Told of every line, call and end; `Observers` tells several.

    Raises
    ------
    BatchError
        The files do not fit, another process runs it, or it was begun otherwise.
    """
    files.check(fresh=fresh)
    pipeline = Pipeline(parts, ReadyFleet(parts.experts.values()), observer)
    with InputFile(files.source) as source:
        async with opened(files.state) as jobs:
            rules = Rules(model=model)
            job = await begin(jobs, _JOB, parts.document, source, rules, fresh=fresh)
            async with Lease(jobs, job.id) as held:
                jobs = Jobs(held)
                batch = Batch(job, jobs, source, pipeline, loader, settings)
                try:
                    yield FileBatch(batch, job, jobs, files, settings.order)
                finally:
                    await batch.close()
