"""Curves against values worked out by hand, and what must hold of any."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from motet.lab.routers import curves

ONES = np.ones((1, 4))


def points(low=0.0, high=1.0):
    numbers = st.floats(low, high, width=32)
    return st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20).map(
        lambda pairs: np.array(pairs, float).T
    )


def test_hull_drops_what_mixing_beats():
    costs, qualities = np.array([1.0, 2, 3, 4, 5]), np.array([0.2, 0.3, 0.8, 0.7, 0.9])
    xs, ys = curves.hull(costs, qualities)
    assert xs.tolist() == [1, 3, 5] and ys.tolist() == [0.2, 0.8, 0.9]


def test_hull_of_equal_costs_keeps_the_best():
    xs, ys = curves.hull(np.array([1.0, 1.0, 2.0]), np.array([0.1, 0.6, 0.6]))
    assert xs.tolist() == [1] and ys.tolist() == [0.6]


@given(points())
def test_hull_is_above_every_point_rising_and_concave(pair):
    costs, qualities = pair
    xs, ys = curves.hull(costs, qualities)
    assert (np.interp(costs, xs, ys) >= qualities - 1e-9).all()
    assert (np.diff(ys) > 0).all()
    slopes = np.diff(ys) / np.diff(xs)
    assert (np.diff(slopes) <= 1e-6 * np.abs(slopes[:-1])).all()


def test_aiq_by_hand():
    # From (0, 0.5) straight to (1, 1), then level to 2: (0.75 + 1) / 2.
    assert curves.aiq(np.array([0.0, 1]), np.array([0.5, 1]), 0, 2) == pytest.approx(0.875)
    # What lies left of the range counts by its line to the range alone.
    assert curves.aiq(np.array([-1.0, 1]), np.array([0, 1.0]), 0, 1) == pytest.approx(0.75)
    assert curves.aiq(np.array([1.0]), np.array([0.7]), 1, 1) == 0.7


@given(points(), st.floats(0, 1), st.floats(0, 1))
def test_a_further_point_never_lowers_aiq(pair, cost, quality):
    costs, qualities = (np.concatenate([[0.0], part]) for part in pair)
    before = curves.aiq(costs, qualities, 0, 1)
    after = curves.aiq(np.append(costs, cost), np.append(qualities, quality), 0, 1)
    assert after >= before - 1e-9 and after <= 1


def test_cost_of_a_quality():
    costs, qualities = np.array([1.0, 3.0]), np.array([0.4, 0.8])
    assert curves.cost_of(0.6, costs, qualities) == pytest.approx(2)
    assert curves.cost_of(0.1, costs, qualities) == 1
    assert curves.cost_of(0.9, costs, qualities) == float("inf")


def test_gap_recovered_by_hand():
    # The first two rows gain, and are called first: half of the calls recover the whole gap.
    preference, gain = np.array([4.0, 3, 2, 1]), np.array([1.0, 1, 0, 0])
    shares, recovered = curves.gap_recovered(preference, gain, ONES)
    assert shares.tolist() == [[0, 0.25, 0.5, 0.75, 1]]
    assert recovered.tolist() == [[0, 0.5, 1, 1, 1]]
    assert curves.apgr(shares, recovered)[0] == pytest.approx(0.75)
    assert curves.cpt(shares, recovered, 50)[0] == pytest.approx(0.25)
    assert curves.cpt(shares, recovered, 80)[0] == pytest.approx(0.4)


def test_a_router_that_outdoes_the_strong_expert_recovers_more_than_the_gap():
    gain = np.array([1.0, 1, 0, -1])
    _, recovered = curves.gap_recovered(gain, gain, ONES)
    assert recovered.max() == 2 and recovered[0, -1] == 1


def test_no_preference_is_a_random_order():
    gain = np.random.default_rng(0).random(4)
    shares, recovered = curves.gap_recovered(np.zeros(4), gain, ONES)
    assert curves.apgr(shares, recovered)[0] == pytest.approx(0.5)
    assert curves.cpt(shares, recovered, 80)[0] == pytest.approx(0.8)


def test_without_a_gap_nothing_is_defined():
    shares, recovered = curves.gap_recovered(np.arange(4.0), np.zeros(4), ONES)
    assert np.isnan(curves.apgr(shares, recovered)).all()
    assert np.isnan(curves.cpt(shares, recovered, 50)).all()


@given(arrays(float, 30, elements=st.floats(-1, 1)), arrays(float, 30, elements=st.floats(-1, 1)))
def test_no_order_is_better_than_that_of_the_true_gains(preference, gain):
    gain[0] = 40.0  # there is a gap
    weights = np.ones((1, 30))
    best = curves.apgr(*curves.gap_recovered(gain, gain, weights))
    assert curves.apgr(*curves.gap_recovered(preference, gain, weights)) <= best + 1e-9


def test_long_curves_are_thinned_and_say_the_same():
    random = np.random.default_rng(0)
    gain = random.normal(0.1, 1, 5000)
    preference = gain + random.normal(0, 2, 5000)
    thin = curves.apgr(*curves.gap_recovered(preference, gain, np.ones((1, 5000))))
    order = np.argsort(-preference)
    whole = np.concatenate([[0], np.cumsum(gain[order]) / gain.sum()])
    assert thin[0] == pytest.approx(np.trapezoid(whole, dx=1 / 5000), abs=1e-3)
