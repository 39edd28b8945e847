"""The answer holds the right JSON value."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from motet.grading.base import Grader, unfenced
from motet.grading.sandbox import run


class JsonGrader(Grader):
    """Compares the first JSON object or array of the answer, the order of keys aside."""

    Reference: ClassVar[object] = Any
    walled: ClassVar[bool] = True

    async def grade(self, prompt: str, answer: str, reference: Any) -> float:
        """Return 1 when both values are equal."""
        return float(await asyncio.to_thread(run, "same_json", unfenced(answer), reference) is True)
