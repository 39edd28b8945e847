"""The decision: ties, limits, confidence and the calibration of lambda."""

import dataclasses

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from tests.routers.learned import world

from motet.errors import TableError
from motet.routers.learned.base import Estimate
from motet.routers.learned.decide import Terms, calibrate, rank


def estimate(quality, cost=None, error=0.1):
    quality = np.array(quality, np.float32)
    return Estimate(
        quality=quality,
        error=np.full_like(quality, error),
        cost=None if cost is None else np.broadcast_to(np.array(cost, np.float32), quality.shape),
    )


def chosen(found, names="abc", **options):
    terms = Terms(**{k: v for k, v in options.items() if k not in ("latency", "allowed")})
    rest = {k: v for k, v in options.items() if k in ("latency", "allowed")}
    return rank(found, tuple(names), terms, **rest).chosen.tolist()


def test_ties_go_to_the_cheaper_then_to_the_name():
    assert chosen(estimate([[0.5, 0.5, 0.5]], [3, 2, 2])) == [1]
    assert chosen(estimate([[0.5, 0.5, 0.5]], [2, 2, 2])) == [0]
    assert chosen(estimate([[0.5, 0.5, 0.5]], [2, 2, 2]), "cba") == [2]


def test_lambda_is_quality_given_up_for_the_scale():
    found = estimate([[0.9, 0.8, 0.1]], [0.02, 0.01, 0.0])
    assert chosen(found, lam=0.19, scale=0.02) == [0]
    assert chosen(found, lam=0.21, scale=0.02) == [1]
    assert chosen(found, lam=99.0, scale=0.02) == [2]


def test_limits_come_first():
    found = estimate([[0.9, 0.8, 0.1], [0.9, 0.8, 0.1]], [0.02, 0.01, 0.001])
    assert chosen(found, max_cost_usd=0.01) == [1, 1]
    seconds = np.array([1.0, 9.0, np.nan])
    assert chosen(found, max_cost_usd=0.01, max_latency_s=5.0, latency=seconds) == [2, 2]
    assert chosen(found, max_cost_usd=1e-6) == [-1, -1]
    assert chosen(found, allowed=np.array([False, True, True])) == [1, 1]


def test_what_is_not_known_is_not_chosen():
    assert chosen(estimate([[np.nan, 0.2, 0.1], [np.nan] * 3])) == [1, -1]


def test_confidence():
    found = estimate([[0.9, 0.1], [0.5, 0.5], [0.9, np.nan], [np.nan, np.nan]])
    ranking = rank(found, ("a", "b"), Terms())
    assert ranking.confidence.round(2).tolist() == [1.0, 0.5, 1.0, 0.0]


@given(
    quality=st.lists(
        st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4), min_size=1, max_size=6
    ),
    order=st.permutations(range(4)),
    lam=st.floats(0, 5),
)
@settings(deadline=None)
def test_permuting_columns_permutes_choices(quality, order, lam):
    cost = np.array([0.1, 0.1, 0.3, 0.0], np.float32)
    names = np.array(list("dbca"))
    one = rank(estimate(quality, cost), tuple(names), Terms(lam=lam))
    two = rank(
        estimate(np.array(quality)[:, order], cost[order]), tuple(names[order]), Terms(lam=lam)
    )
    assert (names[one.order] == names[order][two.order]).all()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.77, 1.0])
@pytest.mark.parametrize("costs", [True, False])
def test_a_share_of_calls(share, costs):
    of = world.table(200, costs=costs)
    random = np.random.default_rng(0)
    found = estimate(random.random((200, 4)), world.COSTS if costs else None)
    terms = calibrate(found, of, target_share=("coder", share))
    picked = rank(found, of.experts, terms).chosen
    assert (picked == of.experts.index("coder")).mean() == pytest.approx(share)


def test_a_mean_cost():
    of = world.table(200)
    random = np.random.default_rng(0)
    found = estimate(random.random((200, 4)), world.COSTS)
    terms = calibrate(found, of, scale=8e-3, target_cost=4e-3)
    spent = of.costs[np.arange(200), rank(found, of.experts, terms).chosen].mean()
    assert 3e-3 < spent <= 4e-3
    with pytest.raises(TableError, match="the cheapest choices cost 0.001"):
        calibrate(found, of, scale=8e-3, target_cost=1e-4)
    with pytest.raises(TableError, match="no 'cost:' columns"):
        calibrate(found, dataclasses.replace(of, costs=None), target_cost=1.0)
    with pytest.raises(TableError, match="no expert 'codr'.*'coder'"):
        calibrate(found, of, target_share=("codr", 0.5))
    with pytest.raises(TableError, match="from 0 to 1"):
        calibrate(found, of, target_share=("coder", 1.5))
