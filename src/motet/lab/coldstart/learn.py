"""A new expert becomes one that routers know: it is asked what tells most, and graded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motet.composer.assembly import assemble
from motet.config import Document, parse
from motet.config.edit import with_option
from motet.errors import ArtifactError, ExpertError
from motet.experts import Expert
from motet.lab.coldstart.pupils import Pupil, pupils
from motet.lab.routers.data import Data
from motet.lab.tabulation import AnswerLog, Purse, Tabulation, prompts_of
from motet.lab.tabulation.state import states_of
from motet.progress import Progress, silent
from motet.routers.learned.newcomer import Newcomer
from motet.tables.routing import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

PROMPTS = 100
"""How many a new expert is asked where nothing else is said."""
LEAST = 10
"""Answers below which nothing is learned: they would say little of an expert, and loudly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What one artifact or profile has learned of one expert.

    Attributes
    ----------
    routers
        Those that read it.
    learned
        Whether there is a new version.
    version
        How the config calls it.
    asked
        Answers that were learned from.
    score
        Their mean; None without answers.
    leads
        Share of the table's rows that the expert would lead; None where that is not estimated.
    note
        By whom it is judged for now, or why nothing was learned.
    """

    expert: str
    routers: tuple[str, ...] = ()
    learned: bool = False
    version: str = ""
    asked: int = 0
    score: float | None = None
    leads: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What came of asking.

    Attributes
    ----------
    text
        The config with the new versions in it, comments kept; as it was where nothing was learned.
    cost_usd
        What the answers cost.
    """

    text: str
    lessons: tuple[Lesson, ...]
    cost_usd: float

    def json(self) -> dict[str, Any]:
        """Return it as plain JSON values, less the text."""
        return {"cost_usd": self.cost_usd, "lessons": [asdict(lesson) for lesson in self.lessons]}


def newcomers(document: Document) -> list[str]:
    """Return the experts that are asked for answers, and that some router does not know yet."""
    learners = pupils(assemble(document).routers.values(), document.folder)
    asked = [entry.id for entry in document.config.experts if entry.enabled]
    return [expert for expert in asked if not all(pupil.knows(expert) for pupil in learners)]


async def learn(
    document: Document,
    experts: Mapping[str, Expert],
    *,
    prompts: int = PROMPTS,
    purse: Purse | None = None,
    concurrency: int = 16,
    report: Progress = silent,
) -> Learned:
    """Let every learned router and skill profile of a config learn the experts it does not know.

    An expert is asked prompts of the table that a router names, those that tell most first (see
    `motet.routers.learned.newcomer`), and graded as that table was; what is in the table of it is
    not asked. Each artifact then adds it as a new version beside the old one. Where no table is
    named, it is judged by experts that are described alike. Answers are kept beside the table, so
    that after an interruption, and for `motet table build`, they are there. Where an expert cannot
    be asked it is told why.

    Parameters
    ----------
    document
        The config.
    experts
        New experts by id, started: where they are asked.
    prompts
        How many to ask each.
    purse
        What all answers may take; what has been answered until then is learned from.
    concurrency
        Questions under way at once.

    Raises
    ------
    TableError
        A table that is named is not there, or does not hold what was asked.
    """
    learners = pupils(assemble(document).routers.values(), document.folder)
    asking = _Asking(document, experts, prompts, purse or Purse(), concurrency, report)
    lessons = _Lessons(document, report)
    for table in dict.fromkeys(pupil.table for pupil in learners):
        for expert in experts:
            unaware = [p for p in learners if p.table == table and not p.knows(expert)]
            if table is None:
                lessons.liken(expert, unaware)
            elif able := lessons.able(expert, unaware):
                # Embeddings tell more of what is alike than scores alone.
                data = max(map(lessons.data, able), key=lambda data: data.embeddings is not None)
                try:
                    answers, whole = await asking.answers(expert, table, data)
                except ExpertError as error:
                    lessons.missed(expert, able, str(error))
                    continue
                lessons.teach(able, answers, whole)
    return Learned(text=lessons.end(), lessons=lessons.told, cost_usd=asking.purse.spent)


class _Asking:
    """Asks new experts what tells most, and grades them."""

    def __init__(
        self,
        document: Document,
        experts: Mapping[str, Expert],
        prompts: int,
        purse: Purse,
        concurrency: int,
        report: Progress,
    ) -> None:
        self.purse = purse
        self._experts = experts
        self._states = states_of(document, experts)
        self._prompts = prompts
        self._concurrency = concurrency
        self._report = report

    async def answers(self, expert: str, path: Path, data: Data) -> tuple[Table, Table]:
        """Return the rows of a table that an expert has answered, and its column of all of it."""
        import numpy as np

        table = data.table
        if expert in table.experts:
            column = table.of([expert])
            return column, column
        known, queries = prompts_of(path), table.queries or ()
        place = {query: row for row, query in enumerate(queries) if query in known}
        newcomer = Newcomer(table, data.embeddings)
        rows = newcomer.choose(self._prompts, sorted(place.values()))
        with AnswerLog(path.with_suffix(".answers.jsonl")) as log:
            world = {expert: self._experts[expert]}, self._states, log
            asked = [known[queries[row]] for row in rows]
            work = Tabulation(asked, *world, concurrency=self._concurrency, purse=self.purse)
            await work.run(self._report)
            graded = Tabulation(work.answered(expert), *world)
            scores = (await graded.grade(self._report))[expert]
            costs, latencies = graded.costs(expert), graded.latencies(expert)
        rows = np.array([place[prompt.text] for prompt in work.answered(expert)], int)
        answers = replace(
            table.take(rows),
            experts=(expert,),
            scores=_column(scores),
            costs=None if table.costs is None else _column(costs),
            latencies=None if table.latencies is None else _column(latencies),
        )
        return answers, newcomer.complete(rows, answers) if len(rows) else answers


class _Lessons:
    """What artifacts and profiles learn in one run, and the config that names them after it."""

    def __init__(self, document: Document, report: Progress) -> None:
        self._document = document
        self._report = report
        self._described = {entry.id: entry.description for entry in document.config.experts}
        self._data: dict[Path, Data] = {}
        self._lessons: list[tuple[Pupil, Lesson]] = []
        self._changed: dict[Path, Pupil] = {}
        self._versions: dict[Path, str] = {}

    @property
    def told(self) -> tuple[Lesson, ...]:
        """All of them, once they are at their end."""
        return tuple(
            replace(lesson, version=self._versions[pupil.path]) if lesson.learned else lesson
            for pupil, lesson in self._lessons
        )

    def data(self, pupil: Pupil) -> Data:
        """Return the table of a pupil, read once."""
        if pupil.path not in self._data:
            self._data[pupil.path] = pupil.data(self._report)
        return self._data[pupil.path]

    def liken(self, expert: str, pupils: Iterable[Pupil]) -> None:
        """Judge an expert by its description."""
        for pupil in pupils:
            try:
                like = pupil.liken(expert, self._described, self._report)
            except ArtifactError as error:
                self.missed(expert, [pupil], str(error))
                continue
            self._note(pupil, Lesson(expert=expert, learned=True, note=f"described like {like}"))

    def able(self, expert: str, pupils: Iterable[Pupil]) -> list[Pupil]:
        """Return who can learn an expert from answers; of the others it is said why not."""
        able = []
        for pupil in pupils:
            try:
                pupil.check(expert, self.data(pupil))
            except ArtifactError as error:
                self.missed(expert, [pupil], str(error))
                continue
            able.append(pupil)
        return able

    def missed(self, expert: str, pupils: Iterable[Pupil], why: str) -> None:
        """Note that nothing was learned of an expert, and why."""
        for pupil in pupils:
            self._note(pupil, Lesson(expert=expert, note=why))

    def teach(self, pupils: Iterable[Pupil], answers: Table, whole: Table) -> None:
        """Let pupils that share a table learn an expert from its answers."""
        (expert,) = answers.experts
        for pupil in pupils:
            if len(answers) < min(LEAST, len(self.data(pupil).table)):
                why = f"{len(answers)} answers are too few to learn from"
                self._note(pupil, Lesson(expert=expert, asked=len(answers), note=why))
                continue
            leads = pupil.take(answers, whole, self.data(pupil))
            score = float(answers.scores.mean())
            lesson = Lesson(expert=expert, asked=len(answers), score=score, leads=leads)
            self._note(pupil, replace(lesson, learned=True))

    def end(self) -> str:
        """Write the new versions, and return the config that names them."""
        document = self._document
        for path, pupil in self._changed.items():
            self._versions[path] = pupil.save_next()
            for router in pupil.routers:
                text = with_option(document, router, pupil.option, self._versions[path])
                document = parse(text, name=document.name, folder=document.folder)
        return document.text

    def _note(self, pupil: Pupil, lesson: Lesson) -> None:
        self._lessons.append((pupil, replace(lesson, routers=tuple(pupil.routers))))
        if lesson.learned:
            self._changed[pupil.path] = pupil


def _column(values: Sequence[float]) -> Floats:
    import numpy as np

    return np.array(values, np.float32)[:, None]
