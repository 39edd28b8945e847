"""The lines of a batch with all that is known of them, carried from step to step.

A line is read, and its strategy replayed, once for each step, and not again by whoever looks at the
step. What is carried is plain data. The strategy itself is not left standing between steps: the
time-outs in it would go on, and an expert may be loaded hours later.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from motet import codec
from motet.batch.answers import Said
from motet.batch.lines import InputFile, Line
from motet.batch.plan import Planned
from motet.batch.replay import Step, replay
from motet.batch.results import Job
from motet.composer.parts import Composition
from motet.composer.pipeline import Pipeline
from motet.store.jobs import Jobs, LineRow

_EACH = 4096
"""Bytes that a line counts beside its own."""


@dataclass(slots=True)
class Case:
    """One line: what it asks, who was chosen, what was said, and what its strategy makes of that.

    Attributes
    ----------
    known
        Answers that `step` knows of at least; they only grow.
    """

    number: int
    line: Line
    planned: Planned
    composition: Composition
    answers: dict[str, Said]
    step: Step
    known: int

    def tell(self, key: str, said: Said) -> None:
        """Take note of an answered call."""
        self.answers[key] = said


class Cases:
    """The cases of one job. Lines are served in their order, so the first to come are carried.

    Parameters
    ----------
    most_bytes
        Bytes of input whose lines are carried; what is beyond that is read again for each step.
    """

    def __init__(
        self,
        job: Job,
        jobs: Jobs,
        source: InputFile,
        pipeline: Pipeline,
        most_bytes: int,
    ) -> None:
        self._most_bytes = most_bytes
        self._job = job
        self._jobs = jobs
        self._source = source
        self._pipeline = pipeline
        self._carried: dict[int, tuple[int, Case]] = {}
        self._bytes = 0

    async def next(self, row: LineRow) -> Case:
        """Return a line of which no call is under way, and carry it from now on if there is room.

        Only here: two calls of one line that both began to carry it would each miss what the other
        was told.
        """
        case = await self.of(row)
        size = row.size + _EACH
        if row.number not in self._carried and self._bytes + size <= self._most_bytes:
            self._bytes += size
            self._carried[row.number] = size, case
        return case

    async def of(self, row: LineRow) -> Case:
        """Return a line, its step replayed if answers have come since."""
        if row.number not in self._carried:
            return await self._read(row)
        case = self._carried[row.number][1]
        while case.known < (known := len(case.answers)):
            # Answers may come meanwhile, and another call of the line may be here too.
            step = await self._step(case.line, case.planned, case.answers)
            if known > case.known:
                case.step, case.known = step, known
        return case

    def drop(self, number: int) -> None:
        """Carry a line no longer."""
        size, _ = self._carried.pop(number, (0, None))
        self._bytes -= size

    async def _read(self, row: LineRow) -> Case:
        assert row.decision is not None
        number = row.number
        raw = self._source.read(row.offset, row.size)
        line = await asyncio.to_thread(self._job.rules.read, raw, self._job.request_id(number))
        planned = codec.load(Planned, row.decision)
        kept = await self._jobs.answers(self._job.id, number)
        answers = {key: Said.load(content) for key, content in kept.items()}
        composition = self._pipeline.compositions[line.request.model]
        step = await self._step(line, planned, answers)
        return Case(number, line, planned, composition, answers, step, len(answers))

    async def _step(self, line: Line, planned: Planned, answers: dict[str, Said]) -> Step:
        composition = self._pipeline.compositions[line.request.model]
        view = self._pipeline.fleet.view
        members = self._pipeline.members_of(composition)
        return await replay(composition, line.request, planned, view, answers, members)
