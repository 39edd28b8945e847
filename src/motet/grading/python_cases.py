"""The answer is a Python function, judged by what it returns."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from pydantic import Field, PositiveFloat, PositiveInt

from motet.grading.base import Grader, Reference, unfenced
from motet.grading.sandbox import call


class PythonCase(Reference):
    """Arguments of one call, and what it must return, both JSON."""

    args: tuple[Any, ...] = ()
    returns: Any


class PythonCases(Reference):
    """A function's name, calls to it, and the limits of running them all."""

    function: str
    cases: tuple[PythonCase, ...] = Field(min_length=1)
    seconds: PositiveFloat = 5.0
    memory_mib: PositiveInt = 256


class PythonCasesGrader(Grader):
    """Runs the answer in a process of its own."""

    Reference: ClassVar[object] = PythonCases
    walled: ClassVar[bool] = True

    async def grade(self, prompt: str, answer: str, reference: PythonCases) -> float:
        """Return 1 when every case returns what it must, within the limits."""
        returned = await asyncio.to_thread(
            call,
            unfenced(answer),
            reference.function,
            [list(case.args) for case in reference.cases],
            seconds=reference.seconds,
            memory_mib=reference.memory_mib,
        )
        # The process never sees what it should return, so it cannot answer by heart.
        return float(returned == [case.returns for case in reference.cases])
