"""Telling observers without waiting for them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any

from motet.operations.base import Observer, Outcome
from motet.types import Call, Decision, Request

log = logging.getLogger(__name__)

_EVENTS = ("began", "decided", "called", "finished")
_GATHER_S = 0.05
"""Seconds that events gather: a thread woken for each of them would fight the event loop for the
interpreter."""
_LAST_S = 2.0
"""Seconds that observers have to hear the rest when the service closes."""


class Observers(Observer):
    """Tells any number of observers, each through an outbox of its own.

    Parameters
    ----------
    bound
        Events that may wait for one observer; more are dropped, counted and logged.
    """

    def __init__(self, observers: Iterable[Observer] = (), *, bound: int = 65_536) -> None:
        self._bound = bound
        self._outboxes: list[_Outbox] = []
        self._hear: dict[str, list[_Ear]] = {event: [] for event in _EVENTS}
        for observer in observers:
            self.add(observer)

    def add(self, observer: Observer) -> None:
        """Tell another one, from now on."""
        outbox = _Outbox(observer, self._bound)
        self._outboxes.append(outbox)
        for event, ears in self._hear.items():
            if getattr(type(observer), event) is not getattr(Observer, event):
                ears.append((outbox, getattr(observer, event)))

    @property
    def dropped(self) -> int:
        """What observers were too slow to hear, or could not keep."""
        return sum(self.lost.values())

    @property
    def lost(self) -> Counter[str]:
        """The same by kind of observer."""
        lost = Counter[str]()
        for outbox in self._outboxes:
            lost[type(outbox.observer).__name__] += outbox.dropped + outbox.observer.dropped
        return lost

    def began(self, request: Request, composition: str) -> None:
        """Tell everybody; see `Observer`."""
        for outbox, tell in self._hear["began"]:
            outbox.put(tell, request, composition)

    def decided(self, request: Request, composition: str, decision: Decision) -> None:
        """Tell everybody; see `Observer`."""
        for outbox, tell in self._hear["decided"]:
            outbox.put(tell, request, composition, decision)

    def called(self, request: Request, composition: str, call: Call) -> None:
        """Tell everybody; see `Observer`."""
        for outbox, tell in self._hear["called"]:
            outbox.put(tell, request, composition, call)

    def finished(self, request: Request, composition: str, outcome: Outcome) -> None:
        """Tell everybody; see `Observer`."""
        for outbox, tell in self._hear["finished"]:
            outbox.put(tell, request, composition, outcome)

    async def flush(self, seconds: float = _LAST_S, *, of: Observer | None = None) -> None:
        """Wait until everything so far is heard by `of`, or by all, or the time is over."""
        heard = [outbox.send() for outbox in self._outboxes if of in (None, outbox.observer)]
        if heard:
            await asyncio.to_thread(_wait, heard, seconds)

    def close(self) -> None:
        """Let the observers hear the rest, for a moment, and end their threads."""
        _wait([outbox.send(end=True) for outbox in self._outboxes], _LAST_S)


def _wait(heard: list[threading.Event], seconds: float) -> None:
    until = time.monotonic() + seconds
    for each in heard:
        each.wait(max(0.0, until - time.monotonic()))


_Ear = tuple["_Outbox", Callable[..., None]]
"""Where an event of one kind is put, and the method that hears it."""


class _Outbox:
    """What one observer has not heard yet, and the thread that tells it."""

    def __init__(self, observer: Observer, bound: int) -> None:
        self.observer = observer
        self.dropped = 0
        self._bound = bound
        self._events: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._wake = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._changing = threading.Lock()
        self._ending = False

    def put(self, tell: Callable[..., None], *told: Any) -> None:
        """Have the observer told soon."""
        if len(self._events) >= self._bound:
            if not self.dropped % self._bound:
                log.error("%s is too slow; it misses events", type(self.observer).__name__)
            self.dropped += 1
            return
        self._events.append((tell, told))
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # an answer that was dropped with its loop
            self._due()
            return
        if self._timer is None or self._loop is not loop:
            self._loop, self._timer = loop, loop.call_later(_GATHER_S, self._due)

    def send(self, *, end: bool = False) -> threading.Event:
        """Have everything told now; return what is set once it is heard."""
        heard = threading.Event()
        if end:
            self._events.append((self.observer.close, ()))
        self._events.append((heard.set, ()))
        self._ending = end
        self._due()
        return heard

    def _due(self) -> None:
        self._timer = None
        with self._changing:
            if self._thread is None and self._events:
                # A daemon: an observer that blocks for ever must not keep the process alive.
                self._thread = threading.Thread(target=self._tell, name="observer", daemon=True)
                self._thread.start()
        self._wake.set()

    def _tell(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._events:
                tell, told = self._events.popleft()
                try:
                    tell(*told)
                except Exception:
                    # The edge to code that is not ours: the others, and the next event, go on.
                    log.exception("observer %s failed", type(self.observer).__name__)
            with self._changing:
                if self._ending and not self._events:
                    self._thread = None
                    return
