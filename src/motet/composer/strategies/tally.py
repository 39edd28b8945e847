"""The count of a vote while answers come: who leads, and whether that can still change."""

from __future__ import annotations

from abc import ABC, abstractmethod

from motet.composer.fitted.answers import short
from motet.composer.fitted.ballots import FittedBallots
from motet.composer.strategies import ballot


class Tally(ABC):
    """Answers by their seat, and which of them leads."""

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}

    def add(self, seat: int, text: str) -> None:
        """Count an answer."""
        self.texts[seat] = text

    def lose(self, seat: int) -> None:
        """Note that no answer will come from a seat."""

    @abstractmethod
    def settled(self) -> int | None:
        """Return the seat of the answer that wins whoever is still to come, None before that."""

    @abstractmethod
    def leader(self) -> int:
        """Return the seat of the answer that leads, of at least one."""


class WeightedTally(Tally):
    """Counts weights known before: equal ones, or what a router expects of each expert."""

    def __init__(self, weights: list[float], form: ballot.Form) -> None:
        super().__init__()
        self._weights, self._form = weights, form

    def lose(self, seat: int) -> None:
        """Take the seat's weight out of what is still to come."""
        self._weights[seat] = 0.0

    def settled(self) -> int | None:
        """Return the leader once the weight still open cannot overtake it."""
        return ballot.settled(self.texts, self._weights, self._form)

    def leader(self) -> int:
        """Return the seat of the answer with the most weight."""
        return ballot.leader(self.texts, self._weights, self._form).seat


class BelievedTally(Tally):
    """Asks a fitted belief how likely each answer is right, given all so far.

    Parameters
    ----------
    sure
        The chance at which the leader wins before all have voted; 1 waits for everybody.
    """

    def __init__(self, fitted: FittedBallots, query: str, sure: float) -> None:
        super().__init__()
        self._fitted, self._query, self._sure = fitted, query, sure
        self._task = int(fitted.teller.tell([query])[0])

    def settled(self) -> int | None:
        """Return the leader once it is sure enough."""
        if self._sure == 1 or not self.texts:
            return None
        seat, chance = self._standing()
        return seat if chance >= self._sure else None

    def leader(self) -> int:
        """Return the first seat of the most likely answer."""
        return self._standing()[0]

    def _standing(self) -> tuple[int, float]:
        answers = {seat: short(self.texts[seat]) for seat in sorted(self.texts)}
        standing = self._fitted.standing(self._query, self._task, answers)
        return min(answers) if standing.expert is None else standing.expert, standing.chance
