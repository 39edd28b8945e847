"""Every learned kind: what it learns, and what must hold whatever it learns."""

import dataclasses
from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from tests.routers.learned import world

from motet.errors import ArtifactError
from motet.routers import ROUTERS
from motet.routers.learned import ESTIMATORS
from motet.routers.learned.artifact import Artifact
from motet.routers.learned.decide import Terms

NEW = world.table(60, seed=7)
ASKED = world.queries(NEW)
every_kind = pytest.mark.parametrize("kind", world.KINDS)


def test_every_estimator_is_a_router():
    assert sorted(ESTIMATORS.names()) == sorted(world.KINDS)
    assert set(ESTIMATORS.names()) <= set(ROUTERS.names())


@pytest.mark.parametrize("kind", world.LEARN)
def test_learns_who_is_good_at_what(kind):
    artifact = world.once(kind)
    chosen = artifact.decide(artifact.estimate(ASKED)).chosen
    best = {"maths": "solver", "code": "coder", "law": "jurist"}
    right = [artifact.experts[c] == best[t] for c, t in zip(chosen, NEW.tasks, strict=True)]
    assert np.mean(right) > 0.8


@every_kind
def test_estimates_are_sound(kind):
    found = world.once(kind).estimate(ASKED)
    assert found.quality.shape == found.error.shape == found.cost.shape == (60, 4)
    assert found.quality.dtype == found.error.dtype == found.cost.dtype == np.float32
    assert ((found.quality >= 0) & (found.quality <= 1)).all()
    assert (found.error > 0).all() and (found.cost > 0).all()
    # A query's estimate does not depend on the others it is asked with.
    one = world.once(kind).estimate(ASKED.take(np.array([3])))
    np.testing.assert_allclose(one.quality[0], found.quality[3], atol=1e-5)


@every_kind
def test_the_same_bits_after_save_and_load(kind, tmp_path):
    artifact = world.once(kind)
    artifact.save(tmp_path / "router")
    loaded = Artifact.load(tmp_path / "router")
    assert loaded.experts == artifact.experts and loaded.kind == kind
    before, after = artifact.estimate(ASKED), loaded.estimate(ASKED)
    for part in ("quality", "error", "cost"):
        assert getattr(before, part).tobytes() == getattr(after, part).tobytes()
    one = ASKED.take(np.array([0]))
    assert artifact.explain(one) == loaded.explain(one)
    assert loaded.explain(one)["reason"]


@every_kind
def test_permuting_experts_permutes_decisions(kind):
    order = ("cheap", "solver", "jurist", "coder")
    permuted = world.trained(kind, world.table(experts=order))
    first, second = world.once(kind), permuted
    a, b = first.estimate(ASKED), second.estimate(ASKED)
    columns = [first.experts.index(expert) for expert in second.experts]
    assert a.quality[:, columns].tobytes() == b.quality.tobytes()
    for lam in (0.0, 0.3):
        terms = Terms(lam=lam, scale=8e-3)
        names = [
            [artifact.experts[c] for c in artifact.decide(estimate, terms).chosen]
            for artifact, estimate in ((first, a), (second, b))
        ]
        assert names[0] == names[1]


@every_kind
def test_a_doubled_expert_changes_nothing(kind):
    of = world.table()
    columns = [0, 1, 2, 3, 1]
    doubled = world.trained(
        kind,
        dataclasses.replace(
            of,
            experts=(*of.experts, "twin"),
            scores=of.scores[:, columns],
            costs=of.costs[:, columns],
        ),
    )
    one, two = world.once(kind), doubled
    a, b = one.estimate(ASKED), two.estimate(ASKED)
    np.testing.assert_allclose(b.quality[:, :4], a.quality, atol=1e-6)
    chosen = [two.experts[c].replace("twin", "coder") for c in two.decide(b).chosen]
    assert chosen == [one.experts[c] for c in one.decide(a).chosen]


@every_kind
def test_an_excluded_expert_is_never_chosen(kind):
    artifact = world.once(kind)
    estimate = artifact.estimate(ASKED)
    for expert in range(4):
        allowed = np.arange(4) != expert
        ranking = artifact.decide(estimate, allowed=allowed)
        assert (ranking.chosen != expert).all()
        assert not ranking.allowed[:, expert].any()


@every_kind
@given(lams=st.lists(st.floats(0, 100), min_size=2, max_size=5))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_raising_lambda_never_raises_the_expected_cost(kind, lams):
    artifact = world.once(kind)
    estimate = artifact.estimate(ASKED)
    rows = np.arange(len(NEW))
    spent = [
        estimate.cost[rows, artifact.decide(estimate, Terms(lam=lam, scale=8e-3)).chosen].sum()
        for lam in sorted(lams)
    ]
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(spent))


@pytest.mark.parametrize(
    "kind",
    ["best-single", "categories", "clusters", "guard", "irt", "knn", "length", "ridge", "tree",
     "words"],
)  # fmt: skip
def test_an_expert_joins_without_the_others_moving(kind):
    known = ("jurist", "coder", "cheap")
    artifact = world.trained(kind, world.table(experts=known))
    more = world.table(120, seed=3)
    joined = artifact.add("solver", more, world.ENCODER.encode(more.queries))
    assert joined.experts == (*known, "solver")
    before, after = artifact.estimate(ASKED), joined.estimate(ASKED)
    if kind == "knn":  # the new answers are neighbours too, which know one expert alone
        known_rows = np.isfinite(after.quality[:, :3]).all(axis=1)
        assert known_rows.mean() > 0.5
    else:
        np.testing.assert_allclose(after.quality[:, :3], before.quality, atol=1e-6)
    if kind in world.LEARN and kind != "guard":
        maths = np.array(NEW.tasks) == "maths"
        assert np.nanmean(after.quality[maths, 3]) > np.nanmean(after.quality[~maths, 3]) + 0.1
    left = joined.remove("coder")
    assert left.experts == ("jurist", "cheap", "solver")
    assert left.estimate(ASKED).quality.tobytes() == after.quality[:, [0, 2, 3]].tobytes()


def test_a_kind_that_cannot_says_who_can():
    with pytest.raises(ArtifactError, match="cannot learn an expert beside the others.*ridge"):
        world.once("contrastive").add(
            "new", dataclasses.replace(NEW, experts=("new", "b", "c", "d")), ASKED.embeddings
        )


def test_tiny_tables():
    for kind in world.KINDS:
        for rows in (1, 3):
            of = world.table(rows, seed=1)
            if kind == "stack" and rows == 1:
                continue
            found = world.trained(kind, of).estimate(ASKED)
            assert np.isfinite(found.quality).all(), (kind, rows)
