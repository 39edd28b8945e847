"""Texts that are asked about, where nothing is to be generated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Task(StrEnum):
    """What is wanted of whoever is asked; the name is the endpoint's below `/v1/`."""

    ANSWER = "chat/completions"
    EMBED = "embeddings"
    MODERATE = "moderations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """What an encoder or a classifier is asked.

    Attributes
    ----------
    inputs
        Texts, or token ids of the one model that can read them.
    dimensions
        Length of the vectors that are wanted; None for all that there is.
    role
        Whether the texts are searched with or searched in, where it matters to an encoder.
    """

    task: Task
    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None
    role: Literal["query", "document"] | None = None

    @property
    def text(self) -> str:
        """Every text, joined by newlines."""
        return "\n".join(each for each in self.inputs if isinstance(each, str))

    @property
    def token_ids(self) -> int:
        """How many token ids there are among the inputs."""
        return sum(len(each) for each in self.inputs if not isinstance(each, str))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of a text that was to be judged.

    Attributes
    ----------
    scores
        Chance of each category, in [0, 1].
    threshold
        From which on a category holds.
    """

    scores: Mapping[str, float]
    threshold: float = 0.5

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories that hold, the surest first."""
        holding = (name for name, score in self.scores.items() if score >= self.threshold)
        return tuple(sorted(holding, key=lambda name: -self.scores[name]))

    @property
    def flagged(self) -> bool:
        """Whether any holds."""
        return bool(self.categories)
