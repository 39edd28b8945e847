"""Controls against values worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from tests.lab.routers.synthetic import synthetic, value

from motet.lab.routers.controls import BEST_SINGLE, LENGTH, ORACLE, PER_TASK, RANDOM, controls
from motet.lab.routers.outcome import Pair
from motet.lab.routers.report import judge


@pytest.fixture
def table():
    return synthetic()


def test_controls_by_hand(table):
    by_name = {outcome.name: outcome for outcome in controls(table)}
    means = np.stack(
        [table.scores[np.array(table.tasks) == t].mean(axis=0) for t in set(table.tasks)]
    )
    report = judge(table, [], draws=20)
    over_tasks = "accuracy_mean_over_tasks"
    assert value(report.of(BEST_SINGLE), over_tasks) == pytest.approx(means.mean(axis=0).max())
    assert value(report.of(PER_TASK), over_tasks) == pytest.approx(means.max(axis=1).mean())
    assert value(report.of(RANDOM), over_tasks) == pytest.approx(means.mean())
    oracle = value(report.of(ORACLE), "accuracy_mean_over_queries")
    assert oracle == pytest.approx(table.scores.max(axis=1).mean())
    # The oracle takes the cheapest of the right answers.
    right = table.scores == table.scores.max(axis=1, keepdims=True)
    cheapest = np.where(right, table.costs, np.inf).min(axis=1)
    assert np.allclose(by_name[ORACLE].costs(table), cheapest)


def test_length_sorts_queries_between_strong_and_weak(table):
    # Prompts as long as the strong expert is useful: their order is the best there is.
    pair = Pair.of(table)
    gain = (table.scores[:, pair.strong] - table.scores[:, pair.weak]).astype(int)
    telling = replace(table, queries=tuple("x" * (2 + more) for more in gain))
    report = judge(telling, [], draws=10)
    length, oracle = report.of(LENGTH), report.of(ORACLE)
    assert value(length, "apgr") == pytest.approx(value(oracle, "apgr"))
    assert length.calls["poetry"] == 0
    without = judge(replace(table, queries=None), [], draws=10)
    assert LENGTH not in without.names
