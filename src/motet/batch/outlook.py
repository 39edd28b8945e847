"""What a batch is going to do, told before it begins: calls by expert, loads in their order."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from motet.batch.orders import ORDERS
from motet.batch.scheduler import Engine, Load, Scheduler, Start, Ticket, Unload
from motet.errors import BatchError

Stages = Sequence[tuple[str, ...]]
"""The experts a line is going to ask: a tuple for each step, in turn."""

_MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one expert is going to do.

    Attributes
    ----------
    bytes
        Memory of its engine; None when that is unknown.
    loads
        How often its engine is loaded; 0 when it is there anyway.
    """

    expert: str
    engine: str
    calls: int
    bytes: int | None
    loads: int


class Outlook:
    """The lines that have nothing answered yet, and whom they are going to ask.

    Attributes
    ----------
    calls
        Expert -> calls.
    """

    def __init__(self, engines: Mapping[str, Engine], budget: int | None) -> None:
        self.calls: Counter[str] = Counter()
        self._engines = engines
        self._budget = budget
        self._lines: dict[int, Stages] = {}
        self._shared: dict[Stages, Stages] = {}

    def add(self, line: int, stages: Stages) -> None:
        """Take note of a line."""
        # Most lines go one of few ways: each way stands in memory once.
        self._lines[line] = self._shared.setdefault(stages, stages)
        self.calls.update(expert for stage in stages for expert in stage)

    def check(self) -> None:
        """Refuse what cannot fit.

        Raises
        ------
        BatchError
            An engine is larger than the budget; names the smallest budget that would do.
        """
        if self._budget is None:
            return
        sizes = {
            self._engines[expert].id: self._engines[expert].bytes or 0 for expert in self.calls
        }
        large = {engine: size for engine, size in sizes.items() if size > self._budget}
        if not large:
            return
        most = max(large.values())
        named = ", ".join(f"{e!r} takes {mib(size)}" for e, size in sorted(large.items()))
        raise BatchError(
            f"The memory allowed is {mib(self._budget)}, but {named}.",
            hint=f"Allow {mib(most)} or more (--memory).",
        )

    def loads(self, slots: int, order: str) -> list[str]:
        """Return the engines in the order they are going to be loaded."""
        scheduler = Scheduler(self._engines, self._budget, slots, ORDERS[order]())
        return rehearse(scheduler, self._lines)

    def forecasts(self, loads: Sequence[str]) -> list[Forecast]:
        """Return what each expert is going to do, the busiest first."""
        often = Counter(loads)
        return [
            Forecast(
                expert,
                self._engines[expert].id,
                calls,
                self._engines[expert].bytes,
                often[self._engines[expert].id],
            )
            for expert, calls in self.calls.most_common()
        ]


def rehearse(scheduler: Scheduler, lines: Mapping[int, Stages]) -> list[str]:
    """Play a batch in which every call takes one turn; return the engines as they are loaded."""
    left = {number: deque(stages) for number, stages in lines.items()}

    def add(number: int) -> None:
        stages = left[number]
        now = dict.fromkeys(stages.popleft())
        scheduler.add(number, now, (expert for stage in stages for expert in stage))

    for number in lines:
        add(number)
    running: deque[Ticket] = deque()
    while True:
        match scheduler.next():
            case Start(ticket):
                running.append(ticket)
            case Load(engine):
                scheduler.loaded(engine)
            case Unload(engine):
                scheduler.unloaded(engine)
            case None:
                if not running:
                    return scheduler.loads
                ticket = running.popleft()
                if scheduler.finished(ticket):
                    if left[ticket.line]:
                        add(ticket.line)
                    else:
                        scheduler.leave(ticket.line)


def mib(size: int) -> str:
    """Return a size as people read it, rounded up to whole MiB."""
    return f"{-(-size // _MIB)}MiB"
