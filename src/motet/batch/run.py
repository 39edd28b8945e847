"""One batch from its input to results in the store: does what the scheduler says."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import Counter, defaultdict
from dataclasses import dataclass

from motet.batch.answers import Said
from motet.batch.cases import Case, Cases
from motet.batch.consulted import Consulted
from motet.batch.lines import InputFile
from motet.batch.loading import Loader
from motet.batch.orders import ORDERS
from motet.batch.outlook import Outlook, Stages
from motet.batch.plan import Planner
from motet.batch.replay import Ask, Ending
from motet.batch.results import Job
from motet.batch.scheduler import BatchAction, BatchScheduler, StartTurn, Turn
from motet.composer.parts import Composition
from motet.composer.pipeline import Pipeline
from motet.errors import ExpertUnavailable, MotetError, first_of
from motet.operations.base import Outcome
from motet.progress import Progress, silent
from motet.residency.actions import Load, Unload
from motet.store.jobs import CallRow, Jobs, LineRow
from motet.transport.retry import Retry
from motet.types import Call, Decision, Request

log = logging.getLogger(__name__)


_PATIENT = Retry(attempts=3, first_s=0.5, longest_s=600.0)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a batch is run.

    Attributes
    ----------
    memory
        Bytes that loaded engines may take together; None for no bound.
    concurrency
        Lines that ask one engine at once; None leaves it to the loader.
    order
        `grouped`, or `arrival`: line by line, the control.
    retry
        How often an expert is asked that fails in a way that may heal.
    carried
        Bytes of input whose lines stay in memory between their steps.
    """

    memory: int | None = None
    concurrency: int | None = None
    order: str = "grouped"
    retry: Retry = _PATIENT
    carried: int = 64 * 2**20


class Batch:
    """One job.

    Call `prepare`, look at `outlook` if you like, then `run`, or `close` if you do not.
    """

    def __init__(
        self,
        job: Job,
        jobs: Jobs,
        source: InputFile,
        pipeline: Pipeline,
        loader: Loader,
        settings: Settings = Settings(),
        report: Progress = silent,
    ) -> None:
        self._job = job
        self._jobs = jobs
        self._source = source
        self._pipeline = pipeline
        self._loader = loader
        self._settings = settings
        self.report = report
        self._hosts = {expert: loader.host(expert) for expert in pipeline.parts.experts}
        self.slots = settings.concurrency or loader.at_once
        self._scheduler = BatchScheduler(self._hosts, self.slots, ORDERS[settings.order]())
        self.outlook = Outlook(self._hosts)
        self._is_open = False
        self._left = 0
        self._under_way = 0
        self._asked: Counter[str] = Counter()
        self._changed = asyncio.Event()
        self._faults: dict[str, MotetError] = {}
        self._seats: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(self.slots)
        )
        self._cases = Cases(job, jobs, source, pipeline, settings.carried)
        self._begun: dict[int, tuple[float, Request]] = {}

    async def prepare(self) -> None:
        """Decide every line, and queue those that have no result yet.

        Nothing is loaded but experts that a router asks, which leave again.

        Raises
        ------
        BatchError
            An expert that is wanted is larger than the memory allowed.
        SourceError
            The weights of one cannot be had.
        """
        await self._plan()
        after = 0
        while rows := await self._jobs.open_lines(self._job.id, after):
            self._left += len(rows)
            for row in rows:
                stages = await self._advance(row)
                if stages is not None:
                    self.outlook.add(row.number, stages)
            after = rows[-1].number
        sizes = await self._loader.sizes(sorted(self.outlook.engines))
        self.outlook.weigh(sizes, self._settings.memory, self._loader.room())
        self._scheduler.weigh(sizes, self.outlook.budget)

    async def _plan(self) -> None:
        online, loader = self._pipeline, self._loader
        async with Consulted(loader, online.parts.experts, self._open) as consulted:
            pipeline = Pipeline(online.parts, online.fleet, online.observer, consulted)
            planner = Planner(self._job, self._jobs, self._source, pipeline, consulted)
            await planner.run(self.report)

    async def _open(self) -> None:
        if not self._is_open:
            self._is_open = True
            await self._loader.open()

    async def close(self) -> None:
        """Close what loads experts, if it is open; `run` does so itself."""
        if self._is_open:
            self._is_open = False
            await self._loader.close()

    async def run(self) -> None:
        """Load, ask and unload until every line has its result.

        Raises
        ------
        BatchError
            The store cannot be written.
        """
        began = time.monotonic()
        try:
            await self._open()
            async with asyncio.TaskGroup() as tasks:
                while self._left:
                    self._changed.clear()
                    action = self._scheduler.next()
                    if action is not None:
                        self._under_way += 1
                        tasks.create_task(self._do(action))
                    else:
                        assert self._under_way, "lines are left, and nothing is under way"
                        await self._changed.wait()
        except* MotetError as errors:
            raise first_of(errors) from None
        finally:
            for number in tuple(self._begun):
                self._end(number, Outcome(status="cancelled", seconds=self._elapsed(number)))
            await self.close()
            loads = len(self._scheduler.loads)
            await self._jobs.add_effort(self._job.id, loads, time.monotonic() - began)

    async def _do(self, action: BatchAction) -> None:
        """Do one thing, and wake whoever waits for a change."""
        match action:
            case StartTurn(turn):
                await self._serve(turn)
            case Load(engine):
                await self._load(engine)
            case Unload(engine):
                log.info("unloading %s", engine)
                await self._loader.unload(engine)
                self._scheduler.unloaded(engine)
        self._under_way -= 1
        self._changed.set()

    async def _load(self, engine: str) -> None:
        log.info("loading %s", engine)
        try:
            await self._loader.load(engine)
        except MotetError as error:
            log.error("engine %s cannot be loaded: %s", engine, error)
            self._faults[engine] = error
        except Exception as error:
            # An engine may fail in ways of its own; one bad expert must not stop the others.
            log.exception("engine %s cannot be loaded", engine)
            self._faults[engine] = MotetError(f"{type(error).__name__}: {error}.")
        self._scheduler.loaded(engine, failed=engine in self._faults)

    async def _serve(self, turn: Turn) -> None:
        """Ask one expert what one line wants of it."""
        row = await self._jobs.row(self._job.id, turn.line)
        case = await self._cases.of(row)
        self._begin(case)
        asks = [ask for ask in case.step.asks if ask.expert == turn.expert]
        async with asyncio.TaskGroup() as calls:
            for ask in asks:
                calls.create_task(self._ask(case, ask))
        if self._scheduler.finished(turn):
            await self._advance(row)

    async def _advance(self, row: LineRow) -> Stages | None:
        """Queue a line for the calls it wants next, and return them with those of later steps.

        When it wants none its result is kept, and None returned.
        """
        case = await self._cases.next(row)
        composition, step = case.composition, case.step
        ending = step.ending
        if ending is None and len(case.answers) >= composition.limits.expert_calls:
            # Only a strategy that asks otherwise each time it is told the same comes here.
            ending = Ending(
                error=MotetError(f"The strategy of {composition.name!r} does not settle.")
            )
        if ending is not None:
            await self._finish(case, ending)
            return None
        later = _later(composition, case.planned.decision, len(case.answers))
        experts = tuple(dict.fromkeys(ask.expert for ask in step.asks))
        self._scheduler.add(case.number, experts, (e for stage in later for e in stage))
        return (experts, *later)

    async def _finish(self, case: Case, ending: Ending) -> None:
        line, number, calls = case.line, case.number, case.step.calls
        if ending.error is None:
            result = self._job.answered(number, line, case.planned.decision, calls, ending.answer)
            status = "ok"
        else:
            result = self._job.refused(number, line.custom_id, ending.error)
            status = ending.error.status_name
        await self._jobs.finish_line(self._job.id, number, result, ending.error is not None)
        self._scheduler.leave(number)
        self._cases.drop(number)
        self._left -= 1
        self._begin(case)
        self._end(
            number,
            Outcome(
                status=status,
                seconds=self._elapsed(number),
                author=calls.author or case.planned.decision.primary
                if ending.error is None
                else None,
                text=ending.answer.text if ending.error is None else "",
                calls=tuple(calls.trace),
            ),
        )

    def _begin(self, case: Case) -> None:
        """Tell observers that a line is answered from now on, unless they know."""
        if case.number not in self._begun:
            self._begun[case.number] = time.monotonic(), case.line.request
            self._pipeline.observer.began(case.line.request, case.composition.name)

    def _end(self, number: int, outcome: Outcome) -> None:
        _, request = self._begun.pop(number)
        self._pipeline.observer.finished(request, request.model, outcome)

    def _elapsed(self, number: int) -> float:
        return time.monotonic() - self._begun[number][0]

    async def _ask(self, case: Case, ask: Ask) -> None:
        """Make one call, and keep what comes of it."""
        host = self._hosts[ask.expert].id
        call = Call(ask.expert, self._elapsed(case.number), fused=ask.request.fused)
        async with self._seats[host]:
            if host in self._faults:
                said = Said(error=ExpertUnavailable(ask.expert, str(self._faults[host])))
            else:
                said = await self._patiently(ask, case.composition.limits.deadline_s)
        call.finished = self._elapsed(case.number)
        call.usage, call.error = said.usage, None if said.error is None else str(said.error)
        call.cost_usd = self._pipeline.fleet.view[ask.expert].card.price.of(said.usage)
        usage = said.usage
        row = CallRow(
            ask.key,
            ask.expert,
            said.dump(),
            usage.prompt_tokens,
            usage.completion_tokens,
            call.cost_usd,
        )
        await self._jobs.add_answer(self._job.id, case.number, row)
        case.tell(ask.key, said)
        self._pipeline.observer.called(case.line.request, case.composition.name, call)
        self._asked[ask.expert] += 1
        self.report(ask.expert, self._asked[ask.expert], self.outlook.calls[ask.expert])

    async def _patiently(self, ask: Ask, seconds: float) -> Said:
        """Ask for at most so long, and ask again when the failure may heal: nobody is waiting."""
        retry = self._settings.retry
        for attempt in itertools.count(1):
            stream = self._loader.expert(ask.expert).stream(ask.request)
            said = await Said.of(ask.expert, stream, seconds)
            if said.error is None or not said.error.retryable:
                break
            wait_s = retry.wait_s(attempt, said.error.retry_after)
            if wait_s is None:
                break
            await asyncio.sleep(wait_s)
        return said


def _later(
    composition: Composition, decision: Decision, answered: int
) -> tuple[tuple[str, ...], ...]:
    """Return the steps that most likely follow the one after `answered` calls."""
    stages = composition.strategy.stages(decision)
    for number, stage in enumerate(stages):
        answered -= len(stage)
        if answered < 0:
            return stages[number + 1 :]
    return ()
