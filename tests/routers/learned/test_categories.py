"""Categories: the exact map, propagation, and tables without queries."""

import dataclasses
import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from tests.routers.learned import world

from motet.errors import TableError
from motet.routers.learned import Queries
from motet.routers.learned.fit import train
from motet.routers.learned.kinds.category_map import best_map
from motet.routers.learned.propagate import propagate

SIZES = {"jurist": 30.0, "coder": 30.0, "solver": 30.0, "cheap": 5.0}


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


def test_scores_alone_are_enough():
    of = dataclasses.replace(world.table(costs=False), queries=None)
    options = {"sizes": SIZES, "budget": 65.0}
    artifact = train(of, None, "categories", options)
    found = artifact.estimate(Queries(tasks=("maths", "code", "law", "cooking")))
    usable = np.isfinite(found.quality).all(axis=0)
    assert sum(SIZES[e] for e, u in zip(artifact.experts, usable, strict=True) if u) <= 65
    assert usable.sum() == 3
    told = artifact.explain(Queries(tasks=("cooking",)))
    assert told["reason"] == "category 'general' (1.00)"
    with pytest.raises(TableError, match="'cheap' has none"):
        train(
            of, None, "categories", {"sizes": {"jurist": 1, "coder": 1, "solver": 1}, "budget": 9.0}
        )


def test_domains_are_lists_of_tasks():
    domains = {"science": ["math*"], "text": ["law"]}
    artifact = world.trained("categories", world.table(), domains=domains)
    told = artifact.explain(world.queries(world.table(1, seed=5)))
    assert set(told["categories"]) <= {"science", "text", "general"}


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


def test_a_table_without_categories_is_refused():
    with pytest.raises(TableError, match="labels no row"):
        world.trained("categories", dataclasses.replace(world.table(), tasks=("",) * 150))
