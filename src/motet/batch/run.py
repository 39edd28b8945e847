"""One batch from its input to results in the store: does what the scheduler says."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from motet.batch import plan as decisions
from motet.batch.answers import Answer
from motet.batch.lines import InputFile, Line
from motet.batch.loading import Loader
from motet.batch.orders import ORDERS
from motet.batch.outlook import Outlook, Stages
from motet.batch.plan import Planner
from motet.batch.replay import Ask, Ending, Step, replay
from motet.batch.results import Job
from motet.batch.scheduler import Action, Scheduler, Start, Ticket
from motet.batch.store import Row, Store
from motet.composer.pipeline import Pipeline, Plan
from motet.errors import ExpertError, ExpertUnavailable, MotetError, first_of
from motet.progress import Progress, silent
from motet.residency.actions import Load, Unload
from motet.types import Chunk, Decision

log = logging.getLogger(__name__)


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
    attempts
        Times an expert is asked that fails in a way that may heal.
    backoff_s
        Seconds before the second attempt, unless the error names a time; doubled each time.
    """

    memory: int | None = None
    concurrency: int | None = None
    order: str = "grouped"
    attempts: int = 3
    backoff_s: float = 0.5


class _Case(NamedTuple):
    """A line with all that is known of it."""

    line: Line
    decision: Decision
    plan: Plan
    answers: Mapping[str, Answer]
    step: Step


class Batch:
    """One job.

    Call `prepare`, look at `outlook` if you like, then `run`.
    """

    def __init__(
        self,
        job: Job,
        store: Store,
        source: InputFile,
        pipeline: Pipeline,
        loader: Loader,
        settings: Settings = Settings(),
        report: Progress = silent,
    ) -> None:
        self._job = job
        self._store = store
        self._source = source
        self._pipeline = pipeline
        self._loader = loader
        self._settings = settings
        self.report = report
        self._engines = {expert: loader.engine(expert) for expert in pipeline.fleet.view}
        self.slots = settings.concurrency or loader.at_once
        self._scheduler = Scheduler(self._engines, self.slots, ORDERS[settings.order]())
        self.outlook = Outlook(self._engines)
        self._left = 0
        self._under_way = 0
        self._asked: Counter[str] = Counter()
        self._changed = asyncio.Event()
        self._faults: dict[str, MotetError] = {}
        self._seats: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(self.slots)
        )

    async def prepare(self) -> None:
        """Decide every line, and queue those that have no result yet; nothing is loaded.

        Raises
        ------
        BatchError
            An expert that is wanted is larger than the memory allowed.
        SourceError
            The weights of one cannot be had.
        """
        await Planner(self._job, self._store, self._source, self._pipeline).run(self.report)
        after = 0
        while rows := await self._store.open_lines(self._job.id, after):
            self._left += len(rows)
            for row in rows:
                stages = await self._advance(row)
                if stages is not None:
                    self.outlook.add(row.place.number, stages)
            after = rows[-1].place.number
        sizes = await self._loader.sizes(sorted(self.outlook.engines))
        self.outlook.weigh(sizes, self._settings.memory, self._loader.room())
        self._scheduler.weigh(sizes, self.outlook.budget)

    async def run(self) -> None:
        """Load, ask and unload until every line has its result.

        Raises
        ------
        BatchError
            The store cannot be written.
        """
        began = time.monotonic()
        try:
            await self._loader.open()
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
            await self._loader.close()
            loads = len(self._scheduler.loads)
            await self._store.add_effort(self._job.id, loads, time.monotonic() - began)

    async def _do(self, action: Action) -> None:
        """Do one thing, and wake whoever waits for a change."""
        match action:
            case Start(ticket):
                await self._serve(ticket)
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

    async def _serve(self, ticket: Ticket) -> None:
        """Ask one expert what one line wants of it."""
        row = await self._store.row(self._job.id, ticket.line)
        case = await self._case(row)
        asks = [ask for ask in case.step.asks if ask.expert == ticket.expert]
        async with asyncio.TaskGroup() as calls:
            for ask in asks:
                calls.create_task(self._ask(ticket.line, ask))
        if self._scheduler.finished(ticket):
            await self._advance(row)

    async def _advance(self, row: Row) -> Stages | None:
        """Queue a line for the calls it wants next, and return them with those of later steps.

        When it wants none its result is kept, and None returned.
        """
        case, number = await self._case(row), row.place.number
        plan, step = case.plan, case.step
        ending = step.ending
        if ending is None and len(case.answers) >= plan.limits.expert_calls:
            # Only a strategy that asks otherwise each time it is told the same comes here.
            ending = Ending(error=MotetError(f"The strategy of {plan.name!r} does not settle."))
        if ending is not None:
            await self._finish(number, case, ending)
            return None
        later = _later(plan, case.decision, len(case.answers))
        experts = tuple(dict.fromkeys(ask.expert for ask in step.asks))
        self._scheduler.add(number, experts, (e for stage in later for e in stage))
        return (experts, *later)

    async def _finish(self, number: int, case: _Case, ending: Ending) -> None:
        line, job = case.line, self._job
        if ending.error is None:
            result = job.answered(number, line, case.decision, case.plan, case.step.calls, ending)
        else:
            result = job.refused(number, line.custom_id, ending.error)
        await self._store.finish_line(job.id, number, result, ending.error is not None)
        self._scheduler.leave(number)
        self._left -= 1

    async def _case(self, row: Row) -> _Case:
        """Return a line with its answers, and what its strategy makes of them."""
        assert row.decision is not None
        number = row.place.number
        line = self._job.rules.read(self._source.read(row.place), self._job.request_id(number))
        decision = decisions.load(row.decision)
        plan = self._pipeline.plans[line.request.model]
        answers = await self._store.answers(self._job.id, number)
        step = await replay(plan, line.request, decision, self._pipeline.fleet.view, answers)
        return _Case(line, decision, plan, answers, step)

    async def _ask(self, number: int, ask: Ask) -> None:
        """Make one call, and keep what comes of it."""
        engine = self._engines[ask.expert].id
        async with self._seats[engine]:
            if engine in self._faults:
                answer = Answer(error=ExpertUnavailable(ask.expert, str(self._faults[engine])))
            else:
                answer = await self._patiently(ask)
        cost = self._pipeline.fleet.view[ask.expert].card.price.of(answer.usage)
        await self._store.add_answer(self._job.id, number, ask.key, ask.expert, answer, cost)
        self._asked[ask.expert] += 1
        self.report(ask.expert, self._asked[ask.expert], self.outlook.calls[ask.expert])

    async def _patiently(self, ask: Ask) -> Answer:
        """Ask, and ask again when the failure may heal: nobody is waiting."""
        wait = self._settings.backoff_s
        for attempt in range(1, self._settings.attempts + 1):
            answer = await self._once(ask)
            error = answer.error
            if error is None or not error.retryable or attempt == self._settings.attempts:
                break
            await asyncio.sleep(wait if error.retry_after is None else error.retry_after)
            wait *= 2
        return answer

    async def _once(self, ask: Ask) -> Answer:
        chunks: list[Chunk] = []
        error: MotetError | None = None
        stream = self._loader.expert(ask.expert).stream(ask.request)
        try:
            async for chunk in stream:
                chunks.append(chunk)
        except MotetError as failure:
            error = failure
        except Exception as failure:
            # An engine may fail in ways of its own; one bad line must not stop the others.
            log.exception("expert %s failed", ask.expert)
            error = ExpertError(ask.expert, f"{type(failure).__name__}: {failure}")
        finally:
            await stream.aclose()
        return Answer.of(chunks, error)


def _later(plan: Plan, decision: Decision, answered: int) -> tuple[tuple[str, ...], ...]:
    """Return the steps that most likely follow the one after `answered` calls."""
    stages = plan.strategy.stages(decision)
    for number, stage in enumerate(stages):
        answered -= len(stage)
        if answered < 0:
            return stages[number + 1 :]
    return ()
