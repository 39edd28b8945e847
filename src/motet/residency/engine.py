"""One engine as the scheduler of residency sees it: its facts, its state and who waits for it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

from motet.experts.base import SLOTS
from motet.residency.ledger import EngineState, Holding

RECENT_S = 600.0
"""Seconds after which a request counts as recent by 1/e still."""


class Stage(Enum):
    """Where a ticket is in its life."""

    WAITING = auto()
    RUNNING = auto()
    OVER = auto()


@dataclass(slots=True, eq=False)
class Ticket:
    """A request that wants an engine; times are seconds of the scheduler's clock.

    Attributes
    ----------
    hit
        Whether its engine was there when it came.
    """

    engine: str
    asked_at: float
    hit: bool
    stage: Stage = Stage.WAITING


@dataclass(slots=True, eq=False)
class Engine(Holding):
    """What is loaded for an expert, and for the adapters that share it.

    Attributes
    ----------
    size
        Bytes it takes while it is there.
    load_s
        Seconds that loading takes: an estimate until the first load, then as measured.
    slots
        Requests that run on it at once.
    pinned
        Whether it is loaded at once and never leaves.
    waiting
        Requests that wait for it.
    leaving
        Whether it starts nothing new, because it is to go once it is idle.
    retry_at
        Before this time it is not loaded, because loading failed; `error` says how.
    """

    load_s: float
    slots: int = SLOTS
    pinned: bool = False
    queue: deque[Ticket] = field(default_factory=deque)
    waiting: int = 0
    running: int = 0
    leaving: bool = False
    used_at: float = -math.inf
    loaded_at: float = -math.inf
    retry_at: float = -math.inf
    failures: int = 0
    error: Exception | None = None
    _recent: float = 0.0
    _recent_at: float = 0.0

    @property
    def idle(self) -> bool:
        """Whether it is there and nothing runs on it."""
        return self.state is EngineState.LOADED and not self.running

    @property
    def startable(self) -> bool:
        """Whether its first waiting request can start now."""
        there = self.state is EngineState.LOADED and not self.leaving
        return there and self.waiting > 0 and self.running < self.slots

    def push(self, ticket: Ticket) -> None:
        """Let a request wait."""
        self.queue.append(ticket)
        self.waiting += 1

    def drop(self, ticket: Ticket, stage: Stage) -> None:
        """Let a request wait no longer; the queue forgets it once it comes to it."""
        ticket.stage = stage
        self.waiting -= 1

    def head(self) -> Ticket:
        """Return the request that has waited longest; some must wait."""
        while self.queue[0].stage is not Stage.WAITING:
            self.queue.popleft()
        return self.queue[0]

    def overdue(self, now: float, max_wait_s: float) -> bool:
        """Return whether its first request has spent half of its bound: then it goes first."""
        return self.waiting > 0 and now - self.head().asked_at > max_wait_s / 2

    def note_request(self, now: float) -> None:
        """Count a request as recent."""
        self._recent, self._recent_at = self.recent(now) + 1.0, now

    def recent(self, now: float) -> float:
        """Return how many requests came of late, each weighing less as it ages."""
        return self._recent * math.exp((self._recent_at - now) / RECENT_S)
