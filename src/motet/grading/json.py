"""The answer holds the right JSON value."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

from motet.grading.base import Grader, unfenced

_START = re.compile(r"[\[{]")


class JsonGrader(Grader):
    """Compares the first JSON object or array of the answer, the order of keys aside."""

    Reference: ClassVar[object] = Any

    async def grade(self, prompt: str, answer: str, reference: Any) -> float:
        """Return 1 when both values are equal."""
        return float(_same(_first_value(unfenced(answer)), reference))


def _first_value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        start = _START.search(text)
    try:
        return json.JSONDecoder().raw_decode(text, start.start())[0] if start else None
    except (ValueError, RecursionError):
        return None


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are equal; Python takes True for 1, JSON does not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other
