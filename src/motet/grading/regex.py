"""The answer matches a pattern."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator

from motet.grading.base import Grader


def _compiles(pattern: str) -> str:
    import regex

    try:
        regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    return pattern


class RegexGrader(Grader):
    """Searches the answer for the reference pattern."""

    Reference: ClassVar[object] = Annotated[str, AfterValidator(_compiles)]

    async def grade(self, prompt: str, answer: str, reference: str) -> float:
        """Return 1 when the pattern occurs; a search of over a second counts as none."""
        import regex

        try:
            return float(regex.search(reference, answer, timeout=1.0) is not None)
        except TimeoutError:
            return 0.0
