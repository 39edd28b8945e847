"""Labels spread to neighbours, as far as these agree."""

import numpy as np
from tests.routers.learned import world

from motet.routers.learned.propagate import propagate


def test_labels_spread_where_neighbours_agree():
    of = world.table(90, seed=2)
    names = sorted(set(of.tasks))
    true = np.array([names.index(task) for task in of.tasks])
    labels = np.where(np.arange(90) < 30, true, -1)
    found = propagate(world.ENCODER.encode(of.queries), labels, labels < 0, 5, 0.9)
    assert (found[found >= 0] == true[found >= 0]).mean() > 0.9
    assert (found >= 0).mean() > 0.8
    strict = propagate(world.ENCODER.encode(of.queries), labels, labels < 0, 5, 0.0)
    assert (strict < 0).sum() >= (found < 0).sum()
