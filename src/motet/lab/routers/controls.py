"""The yardsticks that every report prints beside the routers.

Each knows something that no router may know, or nothing at all: they bound what a figure can mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from motet.lab.routers.metrics import Tasks
from motet.lab.routers.outcome import Pair, TableOutcome, best_single
from motet.lab.routers.sweep import sweep
from motet.routers.learned.base import Estimate
from motet.routers.learned.decide import Terms, rank
from motet.tables.routing import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Ints = NDArray[np.integer]

BEST_SINGLE = "best single expert"
PER_TASK = "best per task, in hindsight"
LENGTH = "longer half to the strong"
RANDOM = "random"
ORACLE = "oracle"


def controls(table: Table) -> list[TableOutcome]:
    """Return the controls of a table, the one to beat first.

    - the expert that is best on this very table, in hindsight;
    - for each task the expert that is best at it, in hindsight;
    - the longer half of the prompts to the strong expert, the rest to the weak one;
    - an expert drawn at random, as it is on average;
    - for each row the best answer there is, and of equals the cheapest.
    """
    import numpy as np

    tasks, experts = Tasks.read(table.tasks), len(table.experts)
    single = np.full(len(table), best_single(table, tasks))
    by_task = tasks.means(table.scores).argmax(axis=1)[tasks.of]
    random = np.full((len(table), experts), 1 / experts, dtype=np.float32)
    return [
        TableOutcome(name=BEST_SINGLE, control=True, calls=one_hot(single, experts)),
        TableOutcome(name=PER_TASK, control=True, calls=one_hot(by_task, experts)),
        *_length(table),
        TableOutcome(name=RANDOM, control=True, calls=random),
        _oracle(table),
    ]


def _length(table: Table) -> list[TableOutcome]:
    """Return the control of prompt length, where there are prompts and a better expert."""
    import numpy as np

    pair = Pair.of(table)
    if pair is None or table.queries is None:
        return []
    length = np.array([len(query) for query in table.queries])
    quality = np.zeros_like(table.scores)
    quality[:, pair.strong] = length / max(length.max(), 1)
    chosen = np.where(length > np.median(length), pair.strong, pair.weak)
    calls = one_hot(chosen, len(table.experts))
    return [TableOutcome(name=LENGTH, control=True, calls=calls, quality=quality)]


def _oracle(table: Table) -> TableOutcome:
    import numpy as np

    known = Estimate(quality=table.scores, error=np.zeros_like(table.scores), cost=table.costs)
    return TableOutcome(
        name=ORACLE,
        control=True,
        calls=one_hot(rank(known, table.experts, Terms()).chosen, len(table.experts)),
        quality=table.scores,
        sweep=sweep(known, table.experts),
    )


def one_hot(chosen: Ints, experts: int) -> Floats:
    """Return `[rows, experts]` with a 1 at the chosen column of each row."""
    import numpy as np

    return np.eye(experts, dtype=np.float32)[chosen]
