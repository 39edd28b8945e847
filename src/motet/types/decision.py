"""A router's answer: who is to be asked, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from motet.ids import new_id


@dataclass(frozen=True, slots=True)
class Choice:
    """One expert of a decision.

    Attributes
    ----------
    quality
        Estimated chance of a right answer in [0, 1]; None when the router does not estimate it.
    cost
        Estimated cost in USD; None when unknown.
    """

    expert: str
    weight: float = 1.0
    quality: float | None = None
    cost: float | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A router's answer: experts, best first, and why.

    Attributes
    ----------
    choices
        At least one expert; the first is the primary, the rest are alternatives in order.
    settled
        False when the router only narrowed the field: a later router of a chain may choose
        among `choices`, reading their weights as a prior.
    latched
        Whether the conversation is to stay with the primary from here on.
    """

    choices: tuple[Choice, ...]
    router: str
    reason: str
    confidence: float = 1.0
    settled: bool = True
    latched: bool = False
    id: str = field(default_factory=lambda: new_id("dec"))

    def __post_init__(self) -> None:
        if not self.choices:
            raise ValueError("a decision names at least one expert")
        numbers = [self.confidence]
        for choice in self.choices:
            numbers += (choice.weight, choice.quality or 0.0, choice.cost or 0.0)
        if not all(map(math.isfinite, numbers)):
            # It could be neither shown nor kept: JSON has no such number.
            raise ValueError(f"router {self.router!r} decided with a number that is none")

    @property
    def primary(self) -> str:
        """The expert that leads."""
        return self.choices[0].expert

    @property
    def experts(self) -> tuple[str, ...]:
        """Every expert of the decision, best first."""
        return tuple(choice.expert for choice in self.choices)
