"""The map of categories to experts: an exact optimum within its budgets."""

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from motet.errors import TableError
from motet.routers.learned.kinds.category_map import best_map, steadied


def worth(scores, share, chosen):
    return float((share * scores[np.arange(len(scores)), chosen]).sum())


@given(
    scores=hnp.arrays(float, (4, 5), elements=st.integers(0, 100).map(lambda n: n / 100)),
    sizes=hnp.arrays(float, 5, elements=st.integers(1, 20).map(float)),
    budget=st.integers(1, 60),
)
@settings(max_examples=40, deadline=None)
def test_the_map_is_as_good_as_enumeration(scores, sizes, budget):
    share = np.array([0.4, 0.3, 0.2, 0.1])
    rosters = [
        list(roster)
        for count in range(1, 6)
        for roster in itertools.combinations(range(5), count)
        if sizes[list(roster)].sum() <= budget
    ]
    if not rosters:
        with pytest.raises(TableError, match="No expert fits"):
            best_map(scores, share, sizes, budget=budget)
        return
    best = max((share * scores[:, roster].max(axis=1)).sum() for roster in rosters)
    chosen, built = best_map(scores, share, sizes, budget=budget)
    assert worth(scores, share, chosen) == pytest.approx(best, abs=1e-6)
    assert sizes[built].sum() <= budget


def test_active_budget():
    scores = np.array([[0.5, 0.9], [0.5, 0.6]])
    chosen, _ = best_map(scores, np.array([0.5, 0.5]), np.array([1.0, 9.0]), active_budget=5.0)
    assert chosen.tolist() == [1, 0]


def test_few_rows_are_drawn_towards_their_family():
    sums, rows = np.array([[90.0, 10.0], [0.0, 1.0]]), np.array([100, 1])
    alone = steadied(sums, rows, np.array([0, 1]), 0.0)
    np.testing.assert_allclose(alone, sums / rows[:, None])
    together = steadied(sums, rows, np.array([0, 0]), 10.0)
    assert together[0].argmax() == together[1].argmax() == 0  # one row says little
    np.testing.assert_allclose(together.mean(axis=1), alone.mean(axis=1))  # nor is it easier
