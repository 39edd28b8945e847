"""Short answers: which of them are the same, and what their form says.

Two forms are known. `exact` compares texts less the quotes around them, so that `[1,2]` is not
`[1, 2]`; `value` compares the first number, plain fractions worked out. Which one a task's answers
want is told from recorded scores: by the right form, right answers are the same and wrong ones
are not.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from motet.composer.strategies.ballot import announced

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AnswerForm = Literal["exact", "value"]
FORMS: tuple[AnswerForm, ...] = ("exact", "value")
SIGNS = ("literal", "structure", "in query", "number", "whole", "negative")
"""What is noted of an answer's form, in the order of `Candidates.signs`."""

_LONGEST = 1000
_FRACTION = re.compile(r"(-?\d+)\s*/\s*(\d+)")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?|-?\.\d+")
_BARE = re.compile(r"-?[\d.]+%?|-?\d+/\d+")
_SPELLED = re.compile(r"""[-\[\](){}'",:.\w\s\\]*""")


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """The different answers to each of many questions, and who gives which.

    Attributes
    ----------
    number
        `[questions, experts]`; which candidate an expert gives, -1 where it gives none.
    bare
        `[questions, experts]`; whether it gave its answer without words around it.
    signs
        `[questions, candidates, 6]`; see `SIGNS`. Rows beyond a question's candidates are 0.
    """

    number: NDArray[np.intp]
    bare: NDArray[np.float64]
    signs: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.number)

    def take(self, rows: Any) -> Candidates:
        """Return those of these questions."""
        return replace(self, number=self.number[rows], bare=self.bare[rows], signs=self.signs[rows])

    def right(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        """Return `[questions, candidates]`: the mean score of those who give it, 0 if nobody."""
        import numpy as np

        total = np.zeros(self.signs.shape[:2])
        count = np.zeros(self.signs.shape[:2])
        for expert in range(self.number.shape[1]):
            rows = np.flatnonzero(self.number[:, expert] >= 0)
            at = rows, self.number[rows, expert]
            total[at] += scores[rows, expert]
            count[at] += 1
        means: NDArray[np.float64] = total / count.clip(1)
        return means


def candidates(
    answers: Sequence[Sequence[str]], queries: Sequence[str], forms: Sequence[AnswerForm]
) -> Candidates:
    """Return who gives which answer.

    Parameters
    ----------
    answers
        `[questions]` sequences with one short answer an expert; empty where there is none.
    forms
        `[questions]`; the form in which answers to each are compared.
    """
    import numpy as np

    experts = len(answers[0]) if answers else 0
    number = np.full((len(answers), experts), -1)
    bare = np.zeros((len(answers), experts))
    distinct: list[list[str]] = []
    for row, (given, form) in enumerate(zip(answers, forms, strict=True)):
        known: dict[str, int] = {}
        for expert, answer in enumerate(given):
            same = alike(answer, form)
            if same is not None:
                number[row, expert] = known.setdefault(same, len(known))
                plain = answer.replace("$", "").replace(",", "").strip()
                bare[row, expert] = form == "exact" or _BARE.fullmatch(plain) is not None
        distinct.append(list(known))
    signs = np.zeros((len(answers), max(map(len, distinct), default=0) or 1, len(SIGNS)))
    for row, (texts, query) in enumerate(zip(distinct, queries, strict=True)):
        for at, text in enumerate(texts):
            signs[row, at] = _signs(text, query)
    return Candidates(number=number, bare=bare, signs=signs)


def alike(answer: str, form: AnswerForm) -> str | None:
    """Return a text that is the same for the same answers; None where nothing was answered."""
    answer = answer.strip()
    if form == "exact":
        if len(answer) > 1 and answer[0] == answer[-1] and answer[0] in "'\"":
            return answer[1:-1]  # which may be empty: quotes around nothing are an answer
        return answer or None
    answer = answer.replace("$", "").replace(",", "")[:_LONGEST]
    fraction = _FRACTION.fullmatch(answer.strip())
    if fraction and float(fraction[2]):
        return f"{float(fraction[1]) / float(fraction[2]):.10g}"
    number = _NUMBER.search(answer)
    return f"{float(number[0]):.10g}" if number else None


def short(text: str) -> str:
    """Return the short answer in an expert's whole text.

    The `answer` of a JSON object, else what follows words that announce it, else the text's last
    line.
    """
    text = text.strip()
    start = text.find("{")
    if start >= 0:
        try:
            value, _ = json.JSONDecoder().raw_decode(text[start:])
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict) and value.get("answer") is not None:
            answer = value["answer"]
            return answer if isinstance(answer, str) else json.dumps(answer)
    said = announced(text)
    return said if said is not None else text.splitlines()[-1].strip() if text else ""


def best_form(answers: Sequence[Sequence[str]], scores: NDArray[Any]) -> AnswerForm:
    """Return the form by which right answers are the same and wrong ones differ from them.

    Parameters
    ----------
    answers
        Of one task's questions.
    scores
        `[questions, experts]`.
    """
    import numpy as np

    right = scores >= 0.5

    def worth(form: AnswerForm) -> float:
        number = candidates(answers, [""] * len(answers), [form] * len(answers)).number
        same = (number[:, :, None] == number[:, None, :]) & (number[:, :, None] >= 0)
        both = right[:, :, None] & right[:, None, :]
        either = right[:, :, None] & ~right[:, None, :]
        shares = [(same & pairs).sum() / max(int(pairs.sum()), 1) for pairs in (both, either)]
        return float(np.float64(shares[0]) - shares[1])

    return max(FORMS, key=worth)


def _signs(text: str, query: str) -> tuple[float, ...]:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    is_number = value == value
    return (
        _is_literal(text),
        text[:1] in ("[", "(", "{"),
        text in query,
        is_number,
        is_number and abs(value) < 1e15 and value == int(value),
        is_number and value < 0,
    )


def _is_literal(text: str) -> bool:
    """Return whether Python writes this value so: `8.5` and `[1, 2]`, but not `8.50` or `[1,2]`."""
    if len(text) > _LONGEST or not _SPELLED.fullmatch(text):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the text would mean as a program
            return repr(ast.literal_eval(text)) == text
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False
