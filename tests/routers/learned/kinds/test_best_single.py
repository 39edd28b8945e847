"""The best single expert: every task counts the same."""

import numpy as np

from motet.config import Options
from motet.routers.learned import Queries
from motet.routers.learned.kinds.best_single import BestSingle
from motet.tables.routing import Table


def test_no_task_outweighs_another():
    scores = np.array([[1, 0]] * 9 + [[0, 1]], np.float32)
    table = Table(name="t", experts=("a", "b"), scores=scores, tasks=("many",) * 9 + ("few",))
    best = BestSingle(Options())
    best.fit(Queries(tasks=table.tasks), table, 0)
    np.testing.assert_allclose(best.predict(Queries(tasks=("any",) * 3)).quality, 0.5)
