"""The lines of a batch with all that is known of them, carried from step to step.

A line is read, and its strategy replayed, once for each step, and not again by whoever looks at the
step. What is carried is plain data. The strategy itself is not left standing between steps: the
time-outs in it would go on, and an expert may be loaded hours later.
"""

from __future__ import annotations

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

_MOST_BYTES = 64 * 2**20
"""Bytes of input whose lines are carried; what is beyond that is read again for each step."""
_EACH = 4096
"""Bytes that a line counts beside its own."""


@dataclass(slots=True)
class Case:
    """One line: what it asks, who was chosen, what was said, and what its strategy makes of that.

    Attributes
    ----------
    current
        Whether `step` knows all the answers.
    """

    number: int
    line: Line
    planned: Planned
    composition: Composition
    answers: dict[str, Said]
    step: Step
    current: bool = True

    def tell(self, key: str, said: Said) -> None:
        """Take note of an answered call."""
        self.answers[key] = said
        self.current = False


class Cases:
    """The cases of one job. Lines are served in their order, so the first to come are carried."""

    def __init__(self, job: Job, jobs: Jobs, source: InputFile, pipeline: Pipeline) -> None:
        self._job = job
        self._jobs = jobs
        self._source = source
        self._pipeline = pipeline
        self._carried: dict[int, tuple[int, Case]] = {}
        self._bytes = 0

    async def of(self, row: LineRow) -> Case:
        """Return a line, its step replayed if answers have come since."""
        number = row.number
        if number in self._carried:
            case = self._carried[number][1]
            if not case.current:
                case.step, case.current = (
                    await self._step(case.line, case.planned, case.answers),
                    True,
                )
            return case
        case = await self._read(row)
        size = row.size + _EACH
        if self._bytes + size <= _MOST_BYTES:
            self._bytes += size
            self._carried[number] = size, case
        return case

    def drop(self, number: int) -> None:
        """Carry a line no longer."""
        size, _ = self._carried.pop(number, (0, None))
        self._bytes -= size

    async def _read(self, row: LineRow) -> Case:
        assert row.decision is not None
        number = row.number
        line = self._job.rules.read(
            self._source.read(row.offset, row.size), self._job.request_id(number)
        )
        planned = codec.load(Planned, row.decision)
        kept = await self._jobs.answers(self._job.id, number)
        answers = {key: Said.load(content) for key, content in kept.items()}
        composition = self._pipeline.compositions[line.request.model]
        step = await self._step(line, planned, answers)
        return Case(number, line, planned, composition, answers, step)

    async def _step(self, line: Line, planned: Planned, answers: dict[str, Said]) -> Step:
        composition = self._pipeline.compositions[line.request.model]
        view = self._pipeline.fleet.view
        return await replay(composition, line.request, planned, view, answers)
