"""What the scheduler of residency says to do, and the bounds it keeps."""

from __future__ import annotations

from dataclasses import dataclass

from motet.config import Residency
from motet.residency.engine import Ticket


@dataclass(frozen=True, slots=True)
class Start:
    """Let this request go on; its engine is loaded."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class Load:
    """Load this engine; its memory is set aside."""

    engine: str


@dataclass(frozen=True, slots=True)
class Unload:
    """Unload this engine; nothing runs on it."""

    engine: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell this request that it cannot be served, and why.

    Attributes
    ----------
    full
        Whether too many wait already, rather than that it has waited too long.
    """

    ticket: Ticket
    reason: str
    retry_after: float
    full: bool = False


Action = Start | Load | Unload | Refuse


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of residency.

    Attributes
    ----------
    budget
        Bytes that engines may take together.
    max_wait_s
        Seconds that a request waits for its turn on an engine at most.
    max_waiting
        Requests that wait at once at most.
    turn_s
        Seconds that a busy engine keeps its place while others wait for it.
    """

    budget: int
    max_wait_s: float = 45.0
    max_waiting: int = 256
    turn_s: float = 10.0

    @classmethod
    def of(cls, settings: Residency) -> Bounds:
        """Return the bounds that a config sets."""
        return cls(int(settings.memory), settings.max_wait_s, settings.max_waiting, settings.turn_s)
