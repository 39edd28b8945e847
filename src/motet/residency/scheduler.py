"""What to load, start, unload and refuse next: plain decisions, the time given, no waiting in here.

The service drives it with real engines and a clock, the simulator with events. A ticket is a
request that wants an engine. `Scheduler.next` says one thing to do at a time; `policy.py` holds
the ways to choose, `exchange.py` who is there.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from motet.residency.actions import Action, Bounds, Refuse, Start
from motet.residency.engine import Engine, Stage, Ticket
from motet.residency.exchange import Exchange
from motet.residency.ledger import EngineState, Ledger
from motet.residency.policy import Policy
from motet.units import mib

_FIRST_REST_S, _LONGEST_REST_S = 2.0, 120.0


class Scheduler:
    """The engines, and who waits for them.

    Whatever changes something is given the time, which never goes back.

    Parameters
    ----------
    measure
        Returns the bytes that the device has left now; None where nobody can say.

    Attributes
    ----------
    waiting
        Requests that wait.
    """

    def __init__(
        self, bounds: Bounds, policy: Policy, measure: Callable[[], int | None] = lambda: None
    ) -> None:
        self.bounds = bounds
        self.ledger: Ledger[Engine] = Ledger(bounds.budget, measure)
        self.exchange = Exchange(self.ledger, bounds, policy)
        self.engines = self.ledger.engines
        self.waiting = 0
        self._policy = policy
        self._arrivals: deque[Ticket] = deque()
        self._ready: deque[Engine] = deque()
        self._refusals: deque[Refuse] = deque()
        self._ahead: deque[Engine] = deque()
        self._rest_ends_at = math.inf
        self._changed = False

    def add(self, engine: Engine, *, loaded: bool = False) -> None:
        """Admit an engine; it is loaded at once if it is pinned, or fits while nobody waits.

        One that is `loaded` already stays, unless what is there is too much with it.
        """
        self.exchange.add(engine, loaded=loaded)
        if not loaded:
            self._ahead.append(engine)
        self._changed = True

    def remove(self, name: str, reason: str) -> None:
        """Forget an engine that is not there; who waits for it is told the reason."""
        engine = self.engines[name]
        self._refuse_all(engine, reason, _FIRST_REST_S)
        if engine in self._ahead:
            self._ahead.remove(engine)
        self.exchange.remove(engine)
        self._changed = True

    def ask(self, name: str, now: float) -> Ticket:
        """Queue a request for an engine; `next` starts or refuses it."""
        engine = self.engines[name]
        engine.note_request(now)
        ticket = Ticket(name, now, engine.state is EngineState.LOADED and not engine.leaving)
        refusal = self._cannot_wait(engine, ticket, now)
        if refusal is not None:
            ticket.stage = Stage.OVER
            self._refusals.append(refusal)
            return ticket
        engine.push(ticket)
        self.waiting += 1
        self._arrivals.append(ticket)
        self._offer(engine)
        self._changed |= engine.state is EngineState.ABSENT
        return ticket

    def leave(self, ticket: Ticket, now: float) -> None:
        """Note that a request is served, or has given up."""
        engine = self.engines.get(ticket.engine)
        if engine is None:
            return  # removed meanwhile
        if ticket.stage is Stage.WAITING:
            self._drop(ticket, Stage.OVER)
            self._changed = True
        elif ticket.stage is Stage.RUNNING:
            ticket.stage = Stage.OVER
            engine.running -= 1
            engine.used_at = now
            self._offer(engine)
            self._changed |= not engine.running

    def loaded(self, name: str, now: float, seconds: float) -> None:
        """Note that an engine is loaded, and how long that took."""
        engine = self.engines[name]
        self.exchange.landed(engine, loaded=True)
        engine.loaded_at = engine.used_at = now
        engine.load_s = seconds
        engine.failures, engine.error = 0, None
        self._offer(engine)
        self._changed = True

    def failed(self, name: str, now: float, error: Exception) -> None:
        """Note that an engine could not be loaded; who waits for it is told, and it rests."""
        engine = self.engines[name]
        self.exchange.landed(engine, loaded=False)
        rest = min(_LONGEST_REST_S, _FIRST_REST_S * 2**engine.failures)
        engine.failures, engine.error = engine.failures + 1, error
        engine.retry_at = now + rest
        if engine.pinned:
            self._rest_ends_at = min(self._rest_ends_at, engine.retry_at)
        self._refuse_all(engine, f"it cannot be loaded: {error}", rest)
        self._changed = True

    def unloaded(self, name: str) -> None:
        """Note that an engine is gone."""
        self.exchange.gone(self.engines[name])
        self._changed = True

    def dismiss(self, name: str) -> None:
        """Have a loaded engine that is broken leave as soon as nothing runs on it."""
        engine = self.engines[name]
        if engine.state is EngineState.LOADED and not engine.leaving:
            self.exchange.send_away(engine)
            self._changed = True

    def next(self, now: float) -> Action | None:
        """Return what to do now, taken as begun; None when only waiting is left."""
        if not self._refusals:
            self._expire(now)
        if self._refusals:
            return self._refusals.popleft()
        ticket = self._startable()
        if ticket is not None:
            return self._start(ticket, now)
        # Choosing looks at every engine, and `next` is asked with every request: so only when
        # something has changed, or time alone may change what is chosen.
        if not self._changed and now < min(self.exchange.look_at, self._rest_ends_at):
            return None
        if now >= self._rest_ends_at:
            self._rest_ends_at = math.inf
        action: Action | None = self.exchange.next(now, lambda: self._wanted(now))
        if action is None and self._ahead and not self.exchange.busy and not self._wanted(now):
            action = self._load_ahead()
        if self.exchange.freed:  # requests may start on them before anything else is done
            for engine in self.exchange.freed:
                self._offer(engine)
            self.exchange.freed.clear()
            return action or self.next(now)
        self._changed = action is not None
        return action

    @property
    def wake_at(self) -> float:
        """When to ask `next` again though nothing has happened; infinity for never."""
        head = self._head()
        bound = math.inf if head is None else head.asked_at + self.bounds.max_wait_s
        return min(bound, self.exchange.look_at, self._rest_ends_at)

    def _cannot_wait(self, engine: Engine, ticket: Ticket, now: float) -> Refuse | None:
        """Return why a request is refused on arrival; None when it may wait."""
        if engine.state is EngineState.ABSENT:
            if now < engine.retry_at:
                reason = f"it could not be loaded: {engine.error}"
                return Refuse(ticket, reason, engine.retry_at - now)
            if (excess := self.exchange.excess(engine)) is not None:
                return Refuse(ticket, excess, self.bounds.max_wait_s)
        if self.waiting >= self.bounds.max_waiting:
            reason = f"{self.waiting} requests wait for experts to be loaded already"
            return Refuse(ticket, reason, self.bounds.turn_s, full=True)
        return None

    def _refuse_all(self, engine: Engine, reason: str, retry_after: float) -> None:
        while engine.waiting:
            ticket = engine.head()
            self._drop(ticket, Stage.OVER)
            self._refusals.append(Refuse(ticket, reason, retry_after))

    def _drop(self, ticket: Ticket, stage: Stage) -> None:
        self.engines[ticket.engine].drop(ticket, stage)
        self.waiting -= 1

    def _offer(self, engine: Engine) -> None:
        """Have an engine looked at that may have something to start."""
        if engine.startable and not self._policy.strict:
            self._ready.append(engine)

    def _head(self) -> Ticket | None:
        """Return who has waited longest of all."""
        arrivals = self._arrivals
        while arrivals and arrivals[0].stage is not Stage.WAITING:
            arrivals.popleft()
        return arrivals[0] if arrivals else None

    def _expire(self, now: float) -> None:
        """Refuse those whose bound is over."""
        while (ticket := self._head()) and ticket.asked_at + self.bounds.max_wait_s <= now:
            self._drop(ticket, Stage.OVER)
            self._changed = True
            reason = self._why(self.engines[ticket.engine])
            self._refusals.append(Refuse(ticket, reason, self.bounds.turn_s))

    def _why(self, engine: Engine) -> str:
        """Say why a request has waited too long."""
        waited = f"it had no turn within {self.bounds.max_wait_s:g} s"
        if engine.state is EngineState.ABSENT:
            budget = mib(self.bounds.budget)
            return f"{waited}: the memory ({budget}) is held by {self.exchange.holders()}"
        return f"{waited}: it is {engine.state.name.lower()}, {engine.running} answers under way"

    def _startable(self) -> Ticket | None:
        """Return the request that is to start now; None when none may."""
        if self._policy.strict:
            head = self._head()
            return head if head is not None and self.engines[head.engine].startable else None
        while self._ready:
            if self._ready[0].startable:
                return self._ready[0].head()
            self._ready.popleft()
        return None

    def _start(self, ticket: Ticket, now: float) -> Start:
        engine = self.engines[ticket.engine]
        self._drop(ticket, Stage.RUNNING)
        engine.running += 1
        engine.used_at = now
        self._changed |= self._policy.strict  # the next in line may want another engine
        return Start(ticket)

    def _wanted(self, now: float) -> list[Engine]:
        """Return the absent engines to load: pinned ones, then overdue ones, then by gain."""
        engines = list(self.engines.values())
        if self._policy.strict:
            head = self._head()
            asked = [self.engines[head.engine]] if head else []
        else:
            asked = [e for e in engines if e.waiting]
        absent = [e for e in asked if e.state is EngineState.ABSENT]
        pinned = [e for e in engines if e.pinned and e.state is EngineState.ABSENT]
        pinned = [e for e in pinned if self.exchange.excess(e) is None]
        self._rest_ends_at = min((e.retry_at for e in pinned if e.retry_at > now), default=math.inf)

        def rank(engine: Engine) -> tuple[bool, float]:
            if engine.overdue(now, self.bounds.max_wait_s):
                return (False, engine.head().asked_at)
            return (True, -self._policy.gain(engine, now))

        unpinned = sorted((e for e in absent if not e.pinned), key=rank)
        return [*(e for e in pinned if e.retry_at <= now), *unpinned]

    def _load_ahead(self) -> Action | None:
        """Load an engine that nobody has asked for yet, while there is room for it."""
        while self._ahead:
            engine = self._ahead[0]
            fresh = engine.state is EngineState.ABSENT and not engine.pinned
            action = self.exchange.load_if_it_fits(engine) if fresh else None
            if action is None and fresh and self.exchange.busy:
                return None
            self._ahead.popleft()
            if action is not None:
                return action
        return None
