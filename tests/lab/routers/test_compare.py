"""Folds, cross-validation, and one trained router on a table of its own."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.lab.routers.synthetic import ENCODER, EXPERTS, synthetic, vectors

from motet.errors import ConfigError, TableError
from motet.lab.routers.compare import Comparison, compare, cross_validate, folds
from motet.lab.routers.data import Data
from motet.lab.routers.evaluate import evaluate
from motet.lab.routers.explain import explanation
from motet.lab.routers.kinds import choose
from motet.routers.learned import ESTIMATORS
from motet.routers.learned.artifact import Artifact
from motet.routers.learned.base import Queries
from motet.routers.learned.fit import train


def data(rows=240, seed=0, **options):
    table = synthetic(rows, seed, **options)
    return Data(table=table, embeddings=vectors(table), encoder=ENCODER)


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


def test_kinds_are_chosen_by_what_the_table_has():
    table = synthetic(queries=False)
    chosen, left_out = choose("all", table, {})
    assert "best-single" in chosen and "knn" not in chosen
    assert left_out["knn"] == "the table has no queries"
    chosen, _ = choose("constant, ridge", table, {"ridge": {"alphas": [1]}})
    assert chosen == {"best-single": {}, "ridge": {"alphas": [1]}}
    with pytest.raises(ConfigError, match="Did you mean 'ridge'"):
        choose("rigde", table, {})
    with pytest.raises(ConfigError, match="No kind is named"):
        choose(" ,", table, {})
    with pytest.raises(ConfigError, match="'knn', which is not compared"):
        choose("ridge", table, {"knn": {"k": [1]}})


def test_of_all_kinds_those_that_lack_something_are_left_out():
    without = data(costs=False)
    kinds = {"best-single": {}, "cost-quality": {}}
    report = compare(without, Comparison(kinds=kinds, folds=2, draws=10, all=True))
    assert [judgement.name for judgement in report.routers] == ["best-single"]
    assert "'cost:' columns" in report.settings["kinds left out"]["cost-quality"]
    with pytest.raises(TableError, match="'cost:' columns"):
        compare(without, Comparison(kinds=kinds, folds=2, draws=10))


def test_evaluate_a_saved_router(tmp_path):
    learned, test = data(seed=0), data(120, seed=1)
    made = train(learned.table, learned.embeddings, "ridge", {}, ENCODER)
    made.save(tmp_path / "router")
    router = Artifact.load(tmp_path / "router")
    report = evaluate(router, test.table.of(EXPERTS[::-1]), test.embeddings, draws=100)
    assert report.rows == 120 and report.routers[0].name == "ridge"
    assert report.routers[0].figures["accuracy_mean_over_tasks"].value > 0.6
    with pytest.raises(TableError, match="240 of 240 queries of synthetic are also in synthetic"):
        evaluate(router, learned.table, learned.embeddings)
    with pytest.raises(TableError, match="no column 'score:both'"):
        evaluate(router, test.table.of(EXPERTS[:2]), test.embeddings)


def test_experts_that_the_router_does_not_know_take_no_part():
    learned, test = data(seed=0), data(seed=1)
    two = replace(learned, table=learned.table.of(["algebra", "poetry"]))
    router = train(two.table, two.embeddings, "ridge", {}, ENCODER)
    report = evaluate(router, test.table, test.embeddings, draws=20)
    assert report.experts == ("algebra", "poetry")
    assert report.settings["experts it does not know"] == ["both"]


def test_explanation_names_choice_runner_up_and_evidence():
    learned = data()
    router = train(learned.table, learned.embeddings, "knn", {"k": [10]}, ENCODER)

    class Encoder:
        def encode(self, texts):
            assert texts == ["add 3 and 4"]
            return learned.embeddings[:1]

    found = explanation(router, "add 3 and 4", Encoder())
    assert found["expert"] == "algebra" and found["runner_up"] == "both"
    assert [row["expert"] for row in found["experts"]] == ["algebra", "both", "poetry"]
    assert 0 <= found["confidence"] <= 1 and "neighbours" in found["reason"]
    assert len(found["evidence"]["neighbours"]) == 3 and found["experts"][0]["cost_usd"] > 0


def test_abilities_are_shown_by_expert_inside_other_kinds_too():
    learned = data()
    parts = {"of": [{"kind": "irt", "epochs": 2}]}
    router = train(learned.table, learned.embeddings, "stack", parts, ENCODER)
    queries = Queries(embeddings=learned.embeddings[:1], texts=("add",), tasks=("sums",))
    part = router.explain(queries)["parts"][0]
    assert set(part["ability"]) == set(EXPERTS) and "by_column" not in part


def test_the_guide_lists_every_kind():
    guide = (Path(__file__).parents[3] / "docs" / "routing.md").read_text()
    listed = set(re.findall(r"^\| `([a-z-]+)`", guide.split("## Kinds")[1].split("## ")[0], re.M))
    assert listed == set(ESTIMATORS.names())
