"""As money matters more, choices go from the best to the cheapest."""

import numpy as np

from motet.lab.routers.sweep import LAMBDAS, sweep
from motet.routers.learned.base import Estimate


def test_from_the_best_to_the_cheapest():
    random = np.random.default_rng(0)
    quality, cost = random.random((20, 4)), random.random((20, 4)) + 0.01
    estimate = Estimate(quality=quality, error=np.ones_like(quality), cost=cost)
    chosen = sweep(estimate, tuple("abcd"))
    assert chosen.shape == (LAMBDAS, 20)
    assert (chosen[0] == quality.argmax(axis=1)).all()
    assert (chosen[-1] == cost.argmin(axis=1)).all()
    spent = cost[np.arange(20), chosen].sum(axis=1)
    assert (np.diff(spent) <= 1e-9).all()


def test_without_costs_there_is_no_curve():
    quality = np.ones((3, 2))
    assert sweep(Estimate(quality=quality, error=quality), ("a", "b")) is None
