"""Continuous batching on one thread: answers join the running batch, and leave it, between steps.

transformers has continuous batching too, but one generator for everybody, no alternatives in its
log-probabilities, and an attention that is made for GPUs; hence this, and `ContinuousBatch`.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence

from motet.errors import ExpertError, ExpertOverloaded, ExpertUnavailable
from motet.generation.rows import ContinuousBatch, GenerationJob

log = logging.getLogger(__name__)


class Worker(threading.Thread):
    """The thread that owns a model, or several that run in turn.

    Parameters
    ----------
    expert
        The expert's id, for errors.
    batches
        The rows of each model; a job names the one it joins.
    max_batch
        Most answers generated at once, over all batches.
    max_queue
        Most requests that wait for a place.
    """

    def __init__(
        self, expert: str, batches: Sequence[ContinuousBatch], max_batch: int, max_queue: int
    ) -> None:
        super().__init__(name=f"motet-{expert}", daemon=True)
        self.fault: str | None = None
        self._expert = expert
        self._batches = tuple(batches)
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._wake = threading.Condition()
        self._waiting: deque[GenerationJob] = deque()
        self._closing = False
        self._reading: tuple[GenerationJob, Iterator[None]] | None = None
        self._seconds = 1.0  # that a request takes, a running mean

    @property
    def waiting(self) -> int:
        """Jobs that have not begun."""
        return len(self._waiting)

    def submit(self, job: GenerationJob) -> None:
        """Queue a job.

        Raises
        ------
        ExpertOverloaded
            Too many wait already.
        ExpertUnavailable
            The worker has ended.
        """
        with self._wake:
            if self._closing or self.fault or not self.is_alive():
                raise ExpertUnavailable(self._expert, self.fault or "it is closed.")
            if len(self._waiting) >= self._max_queue:
                after = self._seconds * (len(self._waiting) + 1) / self._max_batch
                raise ExpertOverloaded(
                    self._expert,
                    f"{len(self._waiting)} requests are waiting already.",
                    retry_after=float(max(1, math.ceil(after))),
                )
            self._waiting.append(job)
            self._wake.notify()

    def cancel(self, job: GenerationJob) -> None:
        """Forget a job; its rows are freed before the next step."""
        with self._wake:
            job.cancelled = True
            if job in self._waiting:
                self._waiting.remove(job)

    def close(self) -> None:
        """End the thread after its current step; open jobs fail. Does not wait, see `join`."""
        with self._wake:
            self._closing = True
            self._wake.notify()

    def run(self) -> None:
        """Work until closed."""
        import torch

        try:
            with torch.inference_mode():
                while self._has_work():
                    self._drop_cancelled()
                    self._read_prompt()
                    for batch in self._batches:
                        self._step(batch)
        except Exception as error:  # the edge of the thread: what nobody foresaw must be told
            log.exception("the worker of expert %r has ended", self._expert)
            self.fault = f"its worker has ended: {error!r}"
        finally:
            with self._wake:
                self._closing = True
                jobs = [*self._waiting]
                self._waiting.clear()
            for batch in self._batches:
                jobs += batch.clear()
            if self._reading:
                jobs.append(self._reading[0])
                self._reading = None
            self._fail(jobs, ExpertUnavailable, self.fault or "it is closing.")

    def _has_work(self) -> bool:
        with self._wake:
            while not (self._closing or self._waiting or self._reading or self.running):
                self._wake.wait()
            return not self._closing

    @property
    def running(self) -> int:
        """Answers being generated."""
        return sum(len(batch.rows) for batch in self._batches)

    def _read_prompt(self) -> None:
        """Read one stretch of the prompt at hand, or of the next that has a place."""
        if self._reading is None:
            with self._wake:
                free = self._max_batch - self.running
                if not self._waiting or len(self._waiting[0].candidates) > free:
                    return
                job = self._waiting.popleft()
            job.started = time.monotonic()
            self._reading = job, job.batch.read(job)
        job, stretches = self._reading
        try:
            for _ in stretches:
                return
            self._reading = None
            if job.finished:
                self._note_time(job)
        except Exception as error:  # the edge of one request: the model's failure is its failure
            self._reading = None
            job.batch.keep([row.job is not job for row in job.batch.rows])
            self._report(error, [job])

    def _step(self, batch: ContinuousBatch) -> None:
        """Give every row of the batch its next token."""
        if not batch.rows:
            return
        try:
            for job in batch.step():
                self._note_time(job)
        except Exception as error:  # the edge of the batch: nothing in it can be trusted now
            self._report(error, batch.clear())

    def _drop_cancelled(self) -> None:
        if self._reading and self._reading[0].cancelled:
            self._reading = None
        for batch in self._batches:
            batch.keep([not row.job.cancelled for row in batch.rows])

    def _note_time(self, job: GenerationJob) -> None:
        self._seconds += 0.2 * (time.monotonic() - job.started - self._seconds)

    def _report(self, error: Exception, jobs: list[GenerationJob]) -> None:
        log.error("expert %r failed while generating", self._expert, exc_info=error)
        self._fail(jobs, ExpertError, f"it failed while generating: {error!r}.")

    def _fail(self, jobs: list[GenerationJob], kind: type[ExpertError], reason: str) -> None:
        for job in dict.fromkeys(jobs):
            job.cancelled = True
            job.send(kind(self._expert, reason))
