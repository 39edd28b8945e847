"""Ensembles that judge texts, and the screens of compositions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from motet.config.options import Name, Options

CATEGORIES = {
    "harassment": "insults, threatens, humiliates or stalks somebody",
    "hate": "degrades people for what they are: origin, religion, sex, orientation, disability",
    "violence": "describes, plans or wishes violence against people",
    "self-harm": "is about hurting or killing oneself",
    "sexual": "is sexually explicit",
    "illicit": "asks for or gives help with a crime",
}
"""Those of the classifiers that are shipped."""


class ModerationEntry(Options):
    """An ensemble whose members judge texts, and whose weights learn from labels."""

    members: tuple[Name, ...] = Field(min_length=1, max_length=16)
    """Ids of classifiers, or of experts, which are asked in words."""
    categories: dict[str, str] = Field(default_factory=CATEGORIES.copy, min_length=1, max_length=64)
    """What is judged, each with a few words that experts are told; by default the categories of the
    classifiers that are shipped."""
    threshold: float = Field(default=0.5, gt=0, lt=1)
    """Score from which on a category holds, and the text is flagged."""
    horizon: PositiveInt = 1000
    """Labels after which the bound on regret is the least."""
    eta: PositiveFloat | None = None
    """Learning rate; by `horizon` when absent."""
    share: float = Field(default=0.0, ge=0, lt=1)
    """Share of each weight that goes to the others at every label, for when the best member
    changes; about the number of changes over the number of labels. No member is lost with it."""
    description: str = ""
    """One sentence for people."""


class ScreenEntry(Options):
    """What judges the prompts and the answers of a composition."""

    before: Name | None = None
    """The ensemble, or the classifier, that judges a prompt before anybody is asked; one that is
    flagged is refused."""
    after: Name | None = None
    """The one that judges an answer; one that is flagged is withheld."""
    hold: Literal["answer", "window"] = "answer"
    """How much of a stream is held back until it is judged: all of it, so that nothing flagged is
    ever read; or a window, so that it goes on, and ends where a window is flagged."""
    window: PositiveInt = Field(default=600, ge=50, le=100_000)
    """Characters of a window. Each is judged with as many before it."""
