"""The answer names the right one of some choices."""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import Field, model_validator

from motet.grading.base import Grader, Reference


class ChoiceReference(Reference):
    """Choices, and which is right."""

    choices: tuple[str, ...] = Field(min_length=2)
    answer: str

    @model_validator(mode="after")
    def _among(self) -> ChoiceReference:
        if self.answer not in self.choices:
            raise ValueError(f"answer {self.answer!r} is none of {', '.join(self.choices)}")
        return self


class ChoiceGrader(Grader):
    """Takes the choice that the answer settles on: the last one it names."""

    Reference: ClassVar[object] = ChoiceReference

    async def grade(self, prompt: str, answer: str, reference: ChoiceReference) -> float:
        """Return 1 when that choice is the right one."""
        named = [
            (match.end(), len(choice), choice)
            for choice in reference.choices
            for match in _mentions(choice, answer)
        ]
        # Of two choices that end at the same place, the longer one was meant.
        return float(bool(named) and max(named)[2] == reference.answer)


def _mentions(choice: str, answer: str) -> list[re.Match[str]]:
    # A lone letter is a choice only as a capital: "a" is an article.
    flags = re.IGNORECASE if len(choice) > 1 else 0
    return list(re.finditer(rf"(?<!\w){re.escape(choice)}(?!\w)", answer, flags))
