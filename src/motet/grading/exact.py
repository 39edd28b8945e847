"""The answer is one of the accepted texts, letter case and outer punctuation aside."""

from __future__ import annotations

from typing import ClassVar

from motet.grading.base import Grader


class ExactGrader(Grader):
    """Compares whole texts."""

    Reference: ClassVar[object] = str | tuple[str, ...]

    async def grade(self, prompt: str, answer: str, reference: str | tuple[str, ...]) -> float:
        """Return 1 when the answer says nothing but an accepted text."""
        accepted = (reference,) if isinstance(reference, str) else reference
        return float(_plain(answer) in map(_plain, accepted))


def _plain(text: str) -> str:
    return " ".join(text.split()).strip(" .,;:!?\"'`*").casefold()
