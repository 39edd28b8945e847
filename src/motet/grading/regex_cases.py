"""The answer is a regular expression, judged by what it matches and refuses."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from pydantic import Field

from motet.grading.base import Grader, Reference, unfenced
from motet.grading.sandbox import run


class RegexCases(Reference):
    """Strings that the pattern must match as a whole, and strings that it must refuse."""

    match: tuple[str, ...] = Field(min_length=1)
    refuse: tuple[str, ...] = ()


class RegexCasesGrader(Grader):
    """Runs the answer as a pattern."""

    Reference: ClassVar[object] = RegexCases
    walled: ClassVar[bool] = True

    async def grade(self, prompt: str, answer: str, reference: RegexCases) -> float:
        """Return 1 when every case goes right; a slow pattern, as attackers write them, is 0."""
        cases = (reference.match, reference.refuse)
        right = await asyncio.to_thread(run, "regex_cases", _pattern(answer), *cases)
        return float(right is True)


def _pattern(answer: str) -> str:
    """Return the pattern alone: of the first line, without the marks people put around it."""
    lines = unfenced(answer).splitlines() or [""]
    text = lines[0].strip().strip("`")
    if len(text) > 2 and text.startswith("/") and text.endswith("/"):
        return text[1:-1]
    return text
