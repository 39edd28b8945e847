"""Folds, and contestants judged on what they have not seen."""

from dataclasses import replace

import numpy as np
import pytest
from tests.lab.routers.synthetic import EXPERTS, data, synthetic

from motet.errors import TableError
from motet.lab.routers.compare import Comparison, compare, cross_validate, folds


def test_folds_spread_every_task_and_keep_a_question_together():
    table = synthetic(240)
    queries = [f"Q{row // 2}" if row % 2 else f" q{row // 2} " for row in range(240)]
    table = replace(table, queries=tuple(queries), tasks=("a",) * 180 + ("b",) * 60)
    found = folds(table, 5, seed=1)
    assert (found[::2] == found[1::2]).all()
    for task in ("a", "b"):
        counts = np.bincount(found[np.array(table.tasks) == task], minlength=5)
        assert np.ptp(counts) <= 2
    assert np.array_equal(found, folds(table, 5, seed=1))
    assert not np.array_equal(found, folds(table, 5, seed=2))
    with pytest.raises(TableError, match="200 folds need as many questions; it has 120"):
        folds(table, 200)


def test_a_router_is_not_judged_on_what_it_saw():
    # Scores are noise: whoever had seen the rows would know them, and nobody else can.
    noise = data(300)
    random = np.random.default_rng(0)
    scores = (random.random((300, 3)) < 0.5).astype(np.float32)
    noise = replace(noise, table=replace(noise.table, scores=scores), embeddings=_unit(300, 64))
    estimate, timing = cross_validate(noise, "knn", {"k": [1]}, count=5)
    assert abs(np.corrcoef(estimate.quality.ravel(), scores.ravel())[0, 1]) < 0.12
    assert estimate.quality.shape == (300, 3) and timing.fit_seconds > 0


def _unit(rows, width):
    found = np.random.default_rng(1).normal(size=(rows, width))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def test_compare_by_cross_validation_finds_what_there_is_to_find():
    plan = Comparison(kinds={"best-single": {}, "ridge": {}, "knn": {"k": [10]}}, draws=200)
    seen = []
    report = compare(data(), plan, progress=lambda *stage: seen.append(stage))
    assert report.rows == 240 and report.routers[0].name in ("ridge", "knn")
    assert report.routers[0].beats_best_single and not report.of("best-single").beats_best_single
    assert report.of("ridge").timing.decision_ms_p50 > 0
    assert report.of("ridge").figures["aiq"].value > report.of("best-single").figures["aiq"].value
    assert "5-fold" in report.settings["method"]
    assert any("ridge: fold 3 of 5" in stage[0] for stage in seen)


def test_compare_on_a_table_of_its_own_in_another_order():
    train_data, test_data = data(seed=0), data(seed=1)
    turned = replace(test_data, table=test_data.table.of(EXPERTS[::-1]))
    plan = Comparison(kinds={"ridge": {}}, draws=50)
    one = compare(train_data, plan, test_data).of("ridge")
    other = compare(train_data, plan, turned).of("ridge")
    assert one.figures["apgr"].value == pytest.approx(other.figures["apgr"].value)
    with pytest.raises(TableError, match="240 of 240 queries"):
        compare(train_data, plan, train_data)
    lacking = replace(test_data, table=test_data.table.of(EXPERTS[:2]))
    with pytest.raises(TableError, match="no column 'score:both'"):
        compare(train_data, plan, lacking)


def test_of_all_kinds_those_that_lack_something_are_left_out():
    without = data(costs=False)
    kinds = {"best-single": {}, "cost-quality": {}}
    report = compare(without, Comparison(kinds=kinds, folds=2, draws=10, all=True))
    assert [judgement.name for judgement in report.routers] == ["best-single"]
    assert "'cost:' columns" in report.settings["kinds left out"]["cost-quality"]
    with pytest.raises(TableError, match="'cost:' columns"):
        compare(without, Comparison(kinds=kinds, folds=2, draws=10))
