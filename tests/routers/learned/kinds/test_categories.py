"""Categories: what a table's tasks alone can teach."""

import dataclasses

import numpy as np
import pytest
from tests.routers.learned import world

from motet.errors import ArtifactError, TableError
from motet.routers.learned import Queries
from motet.routers.learned.fit import train

SIZES = {"jurist": 30.0, "coder": 30.0, "solver": 30.0, "cheap": 5.0}


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


def test_a_table_without_categories_is_refused():
    with pytest.raises(TableError, match="labels no row"):
        world.trained("categories", dataclasses.replace(world.table(), tasks=("",) * 150))


def test_nobody_joins_a_map_within_a_budget():
    of = world.table(experts=("jurist", "coder"))
    artifact = world.trained("categories", of, sizes=SIZES, budget=65.0)
    more = world.table(experts=("solver",))
    with pytest.raises(ArtifactError, match="keeps to a budget.*Train again"):
        artifact.add("solver", more, world.ENCODER.encode(more.queries))


def test_a_category_without_answers_is_expected_to_be_like_all():
    of = world.table()
    artifact = world.trained("categories", of.of(("jurist", "coder", "cheap")))
    some = of.of(["solver"]).take([row for row, task in enumerate(of.tasks) if task != "law"])
    joined = artifact.add("solver", some, world.ENCODER.encode(some.queries))
    asked = world.table(60, seed=7)
    found = joined.estimate(world.queries(asked)).quality
    law = np.array(asked.tasks) == "law"
    assert np.isfinite(found).all() and 0.2 < found[law, 3].mean() < 0.9
