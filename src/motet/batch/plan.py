"""Routes first: every line is read and decided before any model loads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from motet import codec
from motet.batch.consulted import Consulted
from motet.batch.lines import InputFile, Line, Place, custom_id_of
from motet.batch.results import Job
from motet.composer.pipeline import Pipeline
from motet.errors import InvalidLine, MotetError
from motet.progress import Progress
from motet.store.jobs import CallRow, Jobs, LineRow
from motet.types import Call, Decision

_AT_ONCE = 64
"""Lines decided together, so that routers that encode texts can do it in batches."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A line's decision, and the calls that its router made: they are part of its cost."""

    decision: Decision
    asked: tuple[Call, ...] = ()


class Planner:
    """Decides the lines of one job, and keeps the decisions.

    Parameters
    ----------
    pipeline
        Decides as it does online; its fleet counts every expert as ready.
    consulted
        Whom its routers ask.
    """

    def __init__(
        self,
        job: Job,
        jobs: Jobs,
        source: InputFile,
        pipeline: Pipeline,
        consulted: Consulted,
    ) -> None:
        self._consulted = consulted
        self._job = job
        self._jobs = jobs
        self._source = source
        self._pipeline = pipeline
        self._first: dict[str, int] = {}
        """custom_id -> the line that had it first."""

    async def run(self, report: Progress) -> None:
        """Decide every line that has not been decided yet.

        Raises
        ------
        BatchError
            The store cannot be written.
        """
        planned = await self._jobs.names(self._job.id)
        self._first = {name: number for number, name in reversed(planned) if name is not None}
        done = {number for number, _ in planned}
        page: list[tuple[Place, bytes]] = []
        count = len(done)
        for place, raw in self._source.places():
            if place.number not in done:
                page.append((place, raw))
            if len(page) == _AT_ONCE:
                count += await self._keep(page)
                page = []
                report("routing", count, 0)
        count += await self._keep(page)
        report("routing", count, count)

    async def _keep(self, page: Sequence[tuple[Place, bytes]]) -> int:
        # Beside the event loop: a page may hold megabytes.
        read = await asyncio.to_thread(lambda: [self._read(place, raw) for place, raw in page])
        lines = await asyncio.gather(*(self._decide(*line) for line in read))
        calls = [
            (row.number, _kept(number, call))
            for row, asked in lines
            for number, call in enumerate(asked, start=1)
        ]
        await self._jobs.add_lines(self._job.id, [row for row, _ in lines], calls)
        return len(lines)

    def _read(self, place: Place, raw: bytes) -> tuple[Place, str | None, Line | MotetError]:
        """Return a line with its id, as far as it has one; an error where it is wrong."""
        try:
            line = self._job.rules.read(raw, self._job.request_id(place.number))
        except MotetError as error:
            return place, custom_id_of(raw), error
        return place, line.custom_id, line

    async def _decide(
        self, place: Place, custom_id: str | None, read: Line | MotetError
    ) -> tuple[LineRow, tuple[Call, ...]]:
        """Return the line with its decision and what its router asked, or with its error."""
        line: Line | None = None
        try:
            if isinstance(read, MotetError):
                raise read
            line = read
            # Before the first wait, so that lines of one page meet here in their order.
            first = self._first.setdefault(line.custom_id, place.number)
            if first != place.number:
                raise InvalidLine(
                    f"custom_id: {line.custom_id!r} is taken by line {first}.", param="custom_id"
                )
            composition = self._pipeline.find(line.request)
            if self._pipeline.is_screened(composition):
                raise InvalidLine(
                    f"model: {composition.name!r} is screened, which batches do not do: ask it "
                    "line by line.",
                    param="model",
                )
            router = composition.router
            if router is not None:
                await self._consulted.ready(router)
            decision, asked = await self._pipeline.decide_asking(line.request)
        except MotetError as error:
            if line is not None:
                self._pipeline.refused(line.request, error)
            result = self._job.refused(place.number, custom_id, error)
            return self._row(place, custom_id, result=result, failed=True), ()
        decision = replace(decision, id=self._job.made_id("dec-", place.number))
        return self._row(place, custom_id, decision=codec.dump(Planned(decision, asked))), asked

    @staticmethod
    def _row(place: Place, custom_id: str | None, **rest: Any) -> LineRow:
        return LineRow(place.number, place.offset, place.size, custom_id, **rest)


def _kept(number: int, call: Call) -> CallRow:
    """Return a router's call as it is counted; what was said is in the decision."""
    usage = call.usage
    return CallRow(
        f":{number}",
        call.expert,
        b"{}",
        usage.prompt_tokens,
        usage.completion_tokens,
        call.cost_usd,
    )
