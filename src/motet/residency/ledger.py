"""The one ledger of memory: which engines are there, on their way in or out, and what they take.

The service's scheduler and a batch's stand on it. Whom to bring in, and whom to send away for it,
is theirs to choose; that the sum stays within the budget is kept here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic, TypeVar


class EngineState(Enum):
    """Where an engine is in its life."""

    ABSENT = auto()
    LOADING = auto()
    LOADED = auto()
    UNLOADING = auto()


@dataclass(slots=True, eq=False)
class Holding:
    """An engine, and the bytes it takes while it is not absent."""

    id: str
    size: int
    state: EngineState = field(default=EngineState.ABSENT, init=False)


H = TypeVar("H", bound=Holding)


class Ledger(Generic[H]):
    """The engines that share a memory.

    Memory is counted from the moment an engine is on its way in until it is gone: a load takes it
    piece by piece, and an engine that leaves holds it to the end.

    Parameters
    ----------
    budget
        Bytes that engines may take together; None for no bound.
    measure
        Returns the bytes that the device has left now; None where nobody can say.

    Attributes
    ----------
    engines
        By id.
    used
        Bytes of engines that are loaded, or on their way in or out.
    """

    def __init__(
        self, budget: int | None, measure: Callable[[], int | None] = lambda: None
    ) -> None:
        self.budget = budget
        self.engines: dict[str, H] = {}
        self.used = 0
        self._measure = measure

    def admit(self, engine: H, *, loaded: bool = False) -> None:
        """Make an engine known; one that is `loaded` takes its memory already, fit or not."""
        self.engines[engine.id] = engine
        if loaded:
            engine.state = EngineState.LOADED
            self.used += engine.size

    def forget(self, engine: H) -> None:
        """Forget an engine that is absent."""
        del self.engines[engine.id]

    def load(self, engine: H) -> None:
        """Set memory aside for an engine that begins to load."""
        engine.state = EngineState.LOADING
        self.used += engine.size

    def landed(self, engine: H, *, loaded: bool) -> None:
        """Note the end of a load; one that failed has given its memory back."""
        engine.state = EngineState.LOADED if loaded else EngineState.ABSENT
        if not loaded:
            self.used -= engine.size

    def unload(self, engine: H) -> None:
        """Note that an engine begins to leave; its memory is not free before it is gone."""
        engine.state = EngineState.UNLOADING

    def gone(self, engine: H) -> None:
        """Note that an engine is unloaded."""
        engine.state = EngineState.ABSENT
        self.used -= engine.size

    def resize(self, engine: H, size: int) -> None:
        """Note what an engine really takes, wherever it is in its life."""
        if engine.state is not EngineState.ABSENT:
            self.used += size - engine.size
        engine.size = size

    def short(self, engine: H) -> int:
        """Return the bytes that are missing for an absent engine; 0 or less when it can be loaded.

        Within the budget, what was measured has the last word: memory may be somebody else's.
        """
        short = 0 if self.budget is None else self.used + engine.size - self.budget
        if short <= 0 and (free := self._measure()) is not None:
            short = engine.size - free
        return short

    def fits(self, engine: H) -> bool:
        """Return whether an absent engine can be loaded beside what is there."""
        return self.short(engine) <= 0

    def among(self, *states: EngineState) -> list[H]:
        """Return the engines in one of these states, in the order they were admitted."""
        return [engine for engine in self.engines.values() if engine.state in states]
