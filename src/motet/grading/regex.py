"""The answer matches a pattern."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from motet.grading.base import Grader
from motet.grading.sandbox import run


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    return pattern


class RegexGrader(Grader):
    """Searches the answer for the reference pattern."""

    Reference: ClassVar[object] = Annotated[str, AfterValidator(_compiles)]
    walled: ClassVar[bool] = True

    async def grade(self, prompt: str, answer: str, reference: str) -> float:
        """Return 1 when the pattern occurs; a search of over two seconds counts as none."""
        return float(await asyncio.to_thread(run, "regex", reference, answer) is True)
