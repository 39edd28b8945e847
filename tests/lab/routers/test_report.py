"""Reports: what must hold of contestants beside each other."""

import json

import numpy as np
import pytest
from tests.lab.routers.synthetic import EXPERTS, synthetic, value

from motet.lab.routers.controls import BEST_SINGLE, LENGTH, ORACLE, PER_TASK, RANDOM, one_hot
from motet.lab.routers.evaluate import outcome_of
from motet.lab.routers.metrics import Tasks
from motet.lab.routers.outcome import TableOutcome, best_single
from motet.lab.routers.report import judge, judgement_json, table_json
from motet.routers.learned.base import Estimate


@pytest.fixture
def table():
    return synthetic()


def knowing(table, noise, name="router", seed=1):
    """A router whose estimates are the truth with noise."""
    random = np.random.default_rng(seed)
    quality = (table.scores + random.normal(0, noise, table.scores.shape)).clip(0, 1)
    cost = None if table.costs is None else np.tile(table.costs.mean(axis=0), (len(table), 1))
    estimate = Estimate(quality=quality, error=np.full_like(quality, noise), cost=cost)
    return outcome_of(name, estimate, table.experts)


def test_the_oracle_is_above_everyone(table):
    routers = [knowing(table, noise, f"noise {noise}") for noise in (0.3, 1.0, 3.0)]
    report = judge(table, routers, draws=50)
    oracle = report.of(ORACLE)
    for judgement in report.judgements:
        for figure in ("accuracy_mean_over_tasks", "accuracy_mean_over_queries", "aiq", "apgr"):
            assert value(oracle, figure) >= value(judgement, figure) - 1e-6
        assert value(judgement, "regret_to_oracle") >= -1e-6
        assert sum(judgement.calls.values()) == pytest.approx(1)
    assert value(oracle, "cost_ratio_at_best_single") < 1


def test_better_estimates_give_better_figures(table):
    good, bad = knowing(table, 0.3, "good"), knowing(table, 3.0, "bad")
    report = judge(table, [bad, good], draws=200)
    assert [judgement.name for judgement in report.routers] == ["good", "bad"]
    for figure in ("aiq", "apgr", "accuracy_mean_over_tasks"):
        assert value(report.of("good"), figure) > value(report.of("bad"), figure)
    assert value(report.of("good"), "brier") < value(report.of("bad"), "brier")
    assert report.of("good").beats_best_single and not report.of("bad").beats_best_single
    one, other = report.against["good", "bad"], report.against["bad", "good"]
    assert one.low > 0 and one.value == pytest.approx(-other.value)


def test_a_constant_neither_gains_nor_loses(table):
    best = best_single(table, Tasks.read(table.tasks))
    column = np.full(len(table), best)
    same = TableOutcome(name="constant", calls=one_hot(column, len(EXPERTS)))
    judgement = judge(table, [same], draws=100).of("constant")
    gain = judgement.figures["gain_over_best_single"]
    assert (gain.value, gain.low, gain.high) == (0, 0, 0)
    assert not judgement.beats_best_single
    assert value(judgement, "cost_ratio_at_best_single") == pytest.approx(1, abs=1e-3)
    assert value(judgement, "apgr") == pytest.approx(0.5)


def test_intervals_hold_the_value(table):
    report = judge(table, [knowing(table, 1.0)], draws=300)
    for name, figure in report.of("router").figures.items():
        if figure.low is not None and name != "calibration_error":  # noise can only add to it
            assert figure.low <= figure.value, name
            assert figure.high is None or figure.value <= figure.high, name


def test_without_costs_money_is_not_defined_and_the_pair_is_by_score():
    table = synthetic(costs=False)
    report = judge(table, [knowing(table, 0.5)], draws=20)
    assert value(report.of("router"), "aiq") is None
    assert value(report.of("router"), "cost_mean") is None
    means = table.scores.mean(axis=0)
    assert report.pair == (EXPERTS[means.argmax()], EXPERTS[means.argmin()])
    assert value(report.of("router"), "apgr") > 0.5


def test_the_order_of_experts_and_rows_changes_nothing(table):
    turned = table.of(EXPERTS[::-1]).take(np.arange(len(table))[::-1])
    one = judge(table, [], draws=10)
    other = judge(turned, [], draws=10)
    for judgement in one.judgements:
        for name, figure in judgement.figures.items():
            found = value(other.of(judgement.name), name)
            assert found == (None if figure.value is None else pytest.approx(figure.value))


def test_experts_of_whom_nothing_is_said_are_never_called(table):
    quality = table.scores.copy()
    quality[:, 0] = np.nan
    estimate = Estimate(quality=quality, error=np.zeros_like(quality), cost=table.costs)
    outcome = outcome_of("partial", estimate, table.experts)
    judgement = judge(table, [outcome], draws=20).of("partial")
    assert judgement.calls["algebra"] == 0


def test_json_has_the_promised_keys(table):
    report = judge(table, [knowing(table, 0.5)], draws=20, settings={"folds": 5})
    found = json.loads(json.dumps(judgement_json(report.routers[0]) | table_json(report)))
    for name in (
        "accuracy_mean_over_tasks",
        "accuracy_mean_over_queries",
        "cost_mean",
        "aiq",
        "apgr",
    ):
        assert 0 <= found[name] <= 1
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]
        assert found["intervals"][name] == {
            "low": found[f"{name}_low"],
            "high": found[f"{name}_high"],
        }
    for name in ("accuracy_mean_over_tasks", "accuracy_mean_over_queries", "cost_mean"):
        assert found[f"oracle_{name}"] is not None and found[f"best_single_{name}"] is not None
    assert found["best_single_expert"] in EXPERTS and found["settings"]["folds"] == 5
    assert set(found["controls"]) == {BEST_SINGLE, PER_TASK, LENGTH, RANDOM, ORACLE}
    assert found["cpt_50"] <= found["cpt_80"]
