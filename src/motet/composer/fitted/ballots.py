"""A fitted vote: which answer wins, and how likely it is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motet.composer.fitted import folder
from motet.composer.fitted.answers import AnswerForm, Candidates, candidates
from motet.composer.fitted.belief import Belief
from motet.composer.fitted.policy import Course
from motet.composer.fitted.tasks import TaskTeller

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a vote on one question stands.

    Attributes
    ----------
    expert
        The column of the first expert asked whose answer leads; None where nobody answered.
    chance
        How likely that answer is right.
    """

    expert: int | None
    chance: float


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedBallots:
    """A belief about answers, with what it needs to read a question.

    Attributes
    ----------
    experts
        The pool, in the order of columns.
    forms
        By task, how answers are compared.
    courses
        By task, the cascade's course; empty in a vote.
    """

    experts: tuple[str, ...]
    teller: TaskTeller
    forms: tuple[AnswerForm, ...]
    belief: Belief
    courses: tuple[Course, ...] = ()

    @classmethod
    def load(cls, place: Path, kind: folder.FittedKind) -> FittedBallots:
        """Return the one in a folder; see `folder.read` for what it raises."""
        cover, arrays = folder.read(place, kind)
        facts = cover.facts
        return cls(
            experts=tuple(cover.experts),
            teller=TaskTeller.load(facts["tasks"], arrays),
            forms=tuple(facts["forms"]),
            belief=Belief(arrays["belief"]),
            courses=tuple(
                Course(
                    tuple(cover.experts.index(name) for name in each["experts"]),
                    each["threshold"],
                    each["hopeless"],
                )
                for each in facts.get("courses", ())
            ),
        )

    def save(self, place: Path, kind: folder.FittedKind, fitted: dict[str, Any]) -> folder.Cover:
        """Write it; `fitted` says how it came about."""
        courses = [
            {
                "task": self.teller.names[task],
                "experts": [self.experts[column] for column in course.experts],
                "threshold": course.threshold,
                "hopeless": course.hopeless,
            }
            for task, course in enumerate(self.courses)
        ]
        facts: dict[str, Any] = {"tasks": list(self.teller.names), "forms": list(self.forms)}
        cover = folder.Cover(
            motet=version("motet"),
            kind=kind,
            experts=list(self.experts),
            facts=facts | ({"courses": courses} if courses else {}),
            fitted=fitted,
        )
        arrays = {"belief": self.belief.weights, **self.teller.arrays}
        return folder.write(place, cover, arrays)

    def read(
        self, queries: Sequence[str], answers: Sequence[Sequence[str]]
    ) -> tuple[Rows, Candidates]:
        """Return `[questions]` tasks, as told from the queries, and who gives which answer."""
        tasks = self.teller.tell(queries)
        return tasks, candidates(answers, queries, [self.forms[task] for task in tasks])

    def standing(self, query: str, task: int, answers: dict[int, str]) -> Standing:
        """Return where the vote on a live question stands.

        Parameters
        ----------
        answers
            Short answers by the columns of the experts asked; empty where one gave none.
        """
        given = [answers.get(column, "") for column in range(len(self.experts))]
        read = candidates([given], [query], [self.forms[task]])
        import numpy as np

        chances = self.belief.chances(read, np.array([task]), tuple(answers))[0]
        leads = int(chances.argmax())
        number = read.number[0]
        first = next((column for column in answers if number[column] == leads), None)
        return Standing(first, float(chances[leads]) if first is not None else 0.0)
