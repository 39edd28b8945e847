"""One checkable prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Example:
    """A prompt with the answer to learn and what a grader needs to judge another one.

    Attributes
    ----------
    answer
        What a specialist is trained to say.
    grader
        A grader's name in `motet table build`.
    reference
        What that grader compares with.
    """

    prompt: str
    answer: str
    grader: str
    reference: Any
