"""Asking every expert every prompt, grading, and writing the table."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from motet.config import Document
from motet.errors import MotetError, TableError, first_of
from motet.experts import Expert
from motet.experts.asking import whole_answer
from motet.files import replacing
from motet.grading import GRADERS
from motet.lab.tabulation.answers import AnswerLog, RecordedAnswer
from motet.lab.tabulation.prompts import Prompt
from motet.lab.tabulation.purse import Purse
from motet.lab.tabulation.state import states_of
from motet.progress import Progress, silent
from motet.types import Message, Request, Usage

_VERDICT_TOKENS = 16
_TEMPLATE_TOKENS = 256
"""What a chat template may add to a prompt, with room."""


@dataclass(frozen=True, slots=True)
class Totals:
    """One expert's results on one task, means over its prompts."""

    expert: str
    task: str
    prompts: int
    score: float
    cost_usd: float
    tokens: float
    latency_s: float
    refused: int


async def tabulate(
    document: Document,
    prompts: Sequence[Prompt],
    experts: Mapping[str, Expert],
    out: Path,
    *,
    judge: Expert | None = None,
    concurrency: int = 16,
    progress: Progress = silent,
) -> list[Totals]:
    """Ask every expert every prompt, grade the answers, and write a routing table.

    Answers are kept beside the table as they come, so that after an interruption, with a new
    expert or a changed one, only what is missing is asked.

    Parameters
    ----------
    document
        The config of the experts: what they are, by which one that has changed is seen.
    experts
        Who is asked, by the config's ids; started here, and closed at the end.
    out
        A Parquet file; `<stem>.answers.jsonl` beside it holds the answers.
    judge
        The expert behind the grader `judge`.
    concurrency
        Questions under way at once, over all experts.

    Raises
    ------
    TableError
        `out` is no `.parquet` file, or what is kept beside it is no log of answers.
    MotetError
        An expert cannot be reached.
    """
    if out.suffix != ".parquet":
        raise TableError(f"{out}: a table is written as Parquet, in a .parquet file.")
    everyone = dict.fromkeys([*experts.values(), *([] if judge is None else [judge])])
    async with started(everyone):
        with AnswerLog(out.with_suffix(".answers.jsonl")) as log:
            states = states_of(document, experts)
            tabulation = Tabulation(
                prompts, experts, states, log, concurrency=concurrency, judge=judge
            )
            await tabulation.run(progress)
            return tabulation.write(out, await tabulation.grade(progress))


class Tabulation:
    """Builds one table.

    Parameters
    ----------
    prompts
        The rows.
    experts
        Who is asked, started and ready.
    states
        Expert id -> digest of its state: an expert that changed is asked again.
    log
        Holds what was answered before, and takes what is answered now.
    concurrency
        Questions under way at once, over all experts.
    judge
        The expert behind graders that ask one.
    purse
        What the answers may take; nothing is asked that it has no room for.
    """

    def __init__(
        self,
        prompts: Sequence[Prompt],
        experts: Mapping[str, Expert],
        states: Mapping[str, str],
        log: AnswerLog,
        *,
        concurrency: int = 16,
        judge: Expert | None = None,
        purse: Purse | None = None,
    ) -> None:
        self._purse = purse or Purse()
        self._prompts = prompts
        self._experts = experts
        self._states = states
        self._log = log
        self._concurrency = concurrency
        asked = None if judge is None else partial(_judged, judge)
        self._graders = {p.grader: GRADERS.load(p.grader)(asked) for p in prompts}

    async def run(self, report: Progress) -> None:
        """Ask what has not been answered yet, as far as the purse goes.

        Prompts stand in the outer loop, so that the work at any moment is spread over the experts
        and adapters of one base are batched together.

        Raises
        ------
        MotetError
            An expert cannot be reached. What was answered is kept.
        """
        done = {
            expert: sum(self._known(expert, prompt) is not None for prompt in self._prompts)
            for expert in self._experts
        }
        for expert, count in done.items():
            report(expert, count, len(self._prompts))
        missing = deque(
            (expert, prompt)
            for prompt in self._prompts
            for expert in self._experts
            if self._known(expert, prompt) is None
        )

        async def work() -> None:
            while missing:
                expert, prompt = missing.popleft()
                price = self._experts[expert].card.price
                with self._purse.paying(price.of(_most(prompt))) as pay:
                    if pay is None:  # whoever still waits for an answer may have room after it
                        missing.appendleft((expert, prompt))
                        return
                    answer = await self._answer(expert, prompt)
                    pay(price.of(_usage(answer)))
                self._log.add(answer)
                done[expert] += 1
                report(expert, done[expert], len(self._prompts))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._concurrency):
                    group.create_task(work())
        except* MotetError as errors:
            raise first_of(errors) from None

    def answered(self, expert: str) -> list[Prompt]:
        """Return the prompts that an expert has answered, in their order."""
        return [prompt for prompt in self._prompts if self._known(expert, prompt) is not None]

    def costs(self, expert: str) -> list[float]:
        """Return what each answer of an expert cost in USD, of prompts that are all answered."""
        price = self._experts[expert].card.price
        return [price.of(_usage(self._answered(expert, prompt))) for prompt in self._prompts]

    def latencies(self, expert: str) -> list[float]:
        """Return how many seconds each answer took, as `costs` does."""
        return [self._answered(expert, prompt).latency_s for prompt in self._prompts]

    async def grade(self, report: Progress) -> dict[str, list[float]]:
        """Return expert -> a score for each prompt, in their order."""
        scores: dict[str, list[float]] = {expert: [] for expert in self._experts}
        for number, prompt in enumerate(self._prompts):
            answers = [self._answered(expert, prompt) for expert in self._experts]
            grades = await asyncio.gather(*(self._grade(prompt, answer) for answer in answers))
            for expert, score in zip(self._experts, grades, strict=True):
                scores[expert].append(score)
            report("grading", number + 1, len(self._prompts))
        return scores

    def write(self, path: Path, scores: Mapping[str, Sequence[float]]) -> list[Totals]:
        """Write the table, whole or not at all, and return its totals by expert and task."""
        import pyarrow as pa
        from pyarrow.parquet import write_table

        columns: dict[str, Any] = {
            "query": [prompt.text for prompt in self._prompts],
            "task": [prompt.task for prompt in self._prompts],
            "id": [prompt.id for prompt in self._prompts],
            "prompt": [prompt.line for prompt in self._prompts],
        }
        totals: list[Totals] = []
        for expert in self._experts:
            answers = [self._answered(expert, prompt) for prompt in self._prompts]
            costs = self.costs(expert)
            columns[f"score:{expert}"] = pa.array(scores[expert], pa.float32())
            columns[f"cost:{expert}"] = pa.array(costs, pa.float32())
            columns[f"latency:{expert}"] = pa.array(self.latencies(expert), pa.float32())
            columns[f"tokens:{expert}"] = pa.array([a.completion_tokens for a in answers])
            columns[f"answer:{expert}"] = [answer.text for answer in answers]
            totals += self._totals(expert, scores[expert], costs, answers)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            write_table(pa.table(columns), temporary)
        return totals

    def _totals(
        self,
        expert: str,
        scores: Sequence[float],
        costs: Sequence[float],
        answers: Sequence[RecordedAnswer],
    ) -> list[Totals]:
        tasks: dict[str, list[int]] = {}
        for row, prompt in enumerate(self._prompts):
            tasks.setdefault(prompt.task, []).append(row)

        def mean(values: Sequence[float], rows: list[int]) -> float:
            return sum(values[row] for row in rows) / len(rows)

        tokens = [float(answer.completion_tokens) for answer in answers]
        latencies = [answer.latency_s for answer in answers]
        return [
            Totals(
                expert,
                task,
                len(rows),
                mean(scores, rows),
                mean(costs, rows),
                mean(tokens, rows),
                mean(latencies, rows),
                sum(answers[row].error is not None for row in rows),
            )
            for task, rows in tasks.items()
        ]

    async def _answer(self, expert: str, prompt: Prompt) -> RecordedAnswer:
        """Return the answer of an expert, or its refusal."""
        began = time.monotonic()
        error: str | None = None
        try:
            text, usage = await ask(self._experts[expert], prompt.messages, prompt.max_tokens)
        except MotetError as refusal:
            if refusal.retryable or refusal.status >= 500:
                raise
            text, usage, error = "", Usage(), str(refusal)
        return RecordedAnswer(
            expert=expert,
            state=self._states[expert],
            prompt=prompt.digest,
            text=text,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            latency_s=round(time.monotonic() - began, 6),
            error=error,
        )

    async def _grade(self, prompt: Prompt, answer: RecordedAnswer) -> float:
        if answer.error is not None:
            return 0.0
        return await self._graders[prompt.grader].grade(prompt.text, answer.text, prompt.reference)

    def _known(self, expert: str, prompt: Prompt) -> RecordedAnswer | None:
        return self._log.get(expert, self._states[expert], prompt.digest)

    def _answered(self, expert: str, prompt: Prompt) -> RecordedAnswer:
        answer = self._known(expert, prompt)
        if answer is None:
            raise TableError(f"expert {expert!r} has no answer to prompt {prompt.id!r} yet.")
        return answer


@asynccontextmanager
async def started(experts: Iterable[Expert]) -> AsyncIterator[None]:
    """Start experts, and close them with the block."""
    async with AsyncExitStack() as stack:
        for expert in experts:
            await expert.start()
            stack.push_async_callback(expert.close)
        yield


async def ask(expert: Expert, messages: Sequence[Message], max_tokens: int) -> tuple[str, Usage]:
    """Return an expert's whole answer, drawn greedily, and the tokens it took.

    Raises
    ------
    MotetError
        The expert failed or refused.
    """
    request = Request(
        model=expert.card.id, messages=tuple(messages), max_tokens=max_tokens, temperature=0.0
    )
    answer = await whole_answer(expert, request)
    return answer.text, answer.usage


async def _judged(judge: Expert, question: str) -> str:
    return (await ask(judge, [{"role": "user", "content": question}], _VERDICT_TOKENS))[0]


def _most(prompt: Prompt) -> Usage:
    """Return what a prompt may take at most: a token has no less than a byte."""
    return Usage(len(prompt.text.encode()) + _TEMPLATE_TOKENS, prompt.max_tokens)


def _usage(answer: RecordedAnswer) -> Usage:
    return Usage(answer.prompt_tokens, answer.completion_tokens)
