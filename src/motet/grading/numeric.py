"""The last number of the answer is the right one."""

from __future__ import annotations

import math
import re
from typing import ClassVar

from pydantic import FiniteFloat, NonNegativeFloat

from motet.grading.base import Grader, Reference

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?|-?\.\d+")


class NumericReference(Reference):
    """A number and how far off an answer may be."""

    value: FiniteFloat
    tolerance: NonNegativeFloat = 1e-6


class NumericGrader(Grader):
    """Compares numbers; thousands may be parted by commas."""

    Reference: ClassVar[object] = FiniteFloat | NumericReference

    async def grade(self, prompt: str, answer: str, reference: float | NumericReference) -> float:
        """Return 1 when the last number of the answer is within the tolerance."""
        if not isinstance(reference, NumericReference):
            reference = NumericReference(value=reference)
        numbers = _NUMBER.findall(answer)
        if not numbers:
            return 0.0
        value = float(numbers[-1].replace(",", ""))
        return float(
            math.isclose(value, reference.value, rel_tol=1e-9, abs_tol=reference.tolerance)
        )
