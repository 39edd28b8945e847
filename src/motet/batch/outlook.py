"""What a batch is going to do, told before it begins: calls by expert, loads in their order."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from motet.batch.orders import ORDERS
from motet.batch.scheduler import BatchScheduler, StartTurn, Turn
from motet.errors import BatchError
from motet.residency.actions import Load, Unload
from motet.residency.engines import Host
from motet.units import mib

Stages = Sequence[tuple[str, ...]]
"""The experts a line is going to ask: a tuple for each step, in turn."""


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
    sizes
        Engine -> bytes; None where that is unknown.
    budget
        Bytes that loaded engines may take together; None for no bound.
    """

    def __init__(self, hosts: Mapping[str, Host]) -> None:
        self.calls: Counter[str] = Counter()
        self.sizes: dict[str, int | None] = {}
        self.budget: int | None = None
        self._hosts = hosts
        self._lines: dict[int, Stages] = {}
        self._shared: dict[Stages, Stages] = {}

    def add(self, line: int, stages: Stages) -> None:
        """Take note of a line."""
        # Most lines go one of few ways: each way stands in memory once.
        self._lines[line] = self._shared.setdefault(stages, stages)
        self.calls.update(expert for stage in stages for expert in stage)

    @property
    def engines(self) -> set[str]:
        """Engines that are going to be asked."""
        return {self._hosts[expert].id for expert in self.calls}

    def weigh(self, sizes: dict[str, int | None], asked: int | None, room: int | None) -> None:
        """Set sizes and budget: `asked`, or without it `room`, or the largest engine if it is more.

        Raises
        ------
        BatchError
            An engine is larger than what was asked for; names the smallest budget that would do.
        """
        self.sizes = sizes
        largest = max((size or 0 for size in sizes.values()), default=0)
        self.budget = asked if asked is not None or room is None else max(room, largest)
        if asked is None or largest <= asked:
            return
        large = {engine: size for engine, size in sizes.items() if size and size > asked}
        named = ", ".join(f"{engine!r} takes {mib(size)}" for engine, size in large.items())
        raise BatchError(
            f"The memory allowed is {mib(asked)}, but {named}.",
            hint=f"Allow {mib(largest)} or more (--memory).",
        )

    def loads(self, slots: int, order: str) -> list[str]:
        """Return the engines in the order they are going to be loaded."""
        scheduler = BatchScheduler(self._hosts, slots, ORDERS[order]())
        scheduler.weigh(self.sizes, self.budget)
        return rehearse(scheduler, self._lines)

    def forecasts(self, loads: Sequence[str]) -> list[Forecast]:
        """Return what each expert is going to do, the busiest first."""
        often = Counter(loads)
        return [
            Forecast(
                expert,
                self._hosts[expert].id,
                calls,
                self.sizes.get(self._hosts[expert].id, 0),
                often[self._hosts[expert].id],
            )
            for expert, calls in self.calls.most_common()
        ]


def rehearse(scheduler: BatchScheduler, lines: Mapping[int, Stages]) -> list[str]:
    """Play a batch in which every call takes one turn; return the engines as they are loaded."""
    left = {number: deque(stages) for number, stages in lines.items()}

    def add(number: int) -> None:
        stages = left[number]
        now = dict.fromkeys(stages.popleft())
        scheduler.add(number, now, (expert for stage in stages for expert in stage))

    for number in lines:
        add(number)
    running: deque[Turn] = deque()
    while True:
        match scheduler.next():
            case StartTurn(turn):
                running.append(turn)
            case Load(engine):
                scheduler.loaded(engine)
            case Unload(engine):
                scheduler.unloaded(engine)
            case None:
                if not running:
                    return scheduler.loads
                turn = running.popleft()
                if scheduler.finished(turn):
                    if left[turn.line]:
                        add(turn.line)
                    else:
                        scheduler.leave(turn.line)
