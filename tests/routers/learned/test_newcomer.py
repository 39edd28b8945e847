"""What a new expert is asked, and what follows from its answers for all the rest."""

import dataclasses

import numpy as np
from tests.routers.learned import world

from motet.routers.learned.newcomer import Newcomer

KNOWN = ("jurist", "coder", "cheap")
TABLE = world.table(300, seed=1)


def newcomer(table=TABLE):
    return Newcomer(table.of(KNOWN), world.ENCODER.encode(table.queries))


def test_every_task_is_asked_and_what_comes_first_does_not_depend_on_how_many():
    few, many = newcomer().choose(12), newcomer().choose(60)
    assert many[:12].tolist() == few.tolist() and len(set(many.tolist())) == 60
    assert {TABLE.tasks[row] for row in few} == set(world.TOPICS)
    assert sorted(newcomer().choose(10_000).tolist()) == list(range(300))


def test_only_what_can_be_asked_is_chosen():
    among = range(5, 25)
    assert set(newcomer().choose(10, among).tolist()) <= set(among)
    assert newcomer().choose(10, ()).tolist() == []


def test_tables_without_tasks_or_embeddings_do():
    bare = dataclasses.replace(TABLE, tasks=("",) * 300, queries=None)
    assert len(Newcomer(bare.of(KNOWN)).choose(20)) == 20


def test_a_hundred_answers_place_an_expert_on_all_rows():
    one, truth = newcomer(), TABLE.of(["solver"])
    rows = one.choose(100)
    whole = one.complete(rows, truth.take(rows))
    assert whole.experts == ("solver",) and len(whole) == 300 and "100 of 300" in whole.name
    assert (whole.scores[rows] == truth.scores[rows]).all()
    assert (whole.costs == world.COSTS[world.EXPERTS.index("solver")]).all()
    rest = np.setdiff1d(np.arange(300), rows)
    maths = np.array([TABLE.tasks[row] == "maths" for row in rest])
    assert whole.scores[rest][maths].mean() > 0.75 > 0.45 > whole.scores[rest][~maths].mean()
    assert ((whole.scores >= 0) & (whole.scores <= 1)).all()


def test_times_are_the_mean_where_nobody_was_asked():
    timed = dataclasses.replace(TABLE, costs=None, latencies=np.ones_like(TABLE.scores))
    timed.latencies[:10] = 3.0
    whole = newcomer().complete(np.arange(20), timed.of(["solver"]).take(np.arange(20)))
    assert whole.costs is None and whole.latencies[0] == 3 and whole.latencies[200] == 2
