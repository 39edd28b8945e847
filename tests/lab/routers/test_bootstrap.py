"""Intervals: those of theory, which cover the truth about as often as they say."""

import numpy as np
import pytest

from motet.lab.routers import metrics
from motet.lab.routers.bootstrap import Resamples
from motet.lab.routers.metrics import Tasks


def test_the_interval_is_that_of_theory():
    values = np.random.default_rng(1).random(2000)
    resamples = Resamples(Tasks.read([""] * 2000), draws=2000, seed=2)
    found = resamples.judge(lambda weights: {"mean": metrics.over_queries(values, weights)})["mean"]
    half = 1.96 * values.std() / np.sqrt(2000)
    assert found.value == pytest.approx(values.mean(), abs=1e-6)
    assert found.low == pytest.approx(values.mean() - half, rel=0.01)
    assert found.high == pytest.approx(values.mean() + half, rel=0.01)


def test_resamples_keep_the_rows_of_each_task_and_repeat_with_the_seed():
    tasks = Tasks.read(["a"] * 10 + ["b"] * 3)
    seen = []

    def look(weights):
        seen.append(weights)
        return {"rows": weights.sum(axis=1)}

    Resamples(tasks, draws=50, seed=3).judge(look)
    draws = seen[1]
    assert (draws[:, :10].sum(axis=1) == 10).all() and (draws[:, 10:].sum(axis=1) == 3).all()
    Resamples(tasks, draws=50, seed=3).judge(look)
    assert np.array_equal(seen[1], seen[3])
    Resamples(tasks, draws=50, seed=4).judge(look)
    assert not np.array_equal(seen[1], seen[5])


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    random = np.random.default_rng(5)
    covered = 0
    for trial in range(100):
        values = (random.random(120) < 0.7).astype(np.float32)
        resamples = Resamples(Tasks.read(["x"] * 60 + ["y"] * 60), draws=300, seed=trial)
        found = resamples.judge(lambda w, v=values: {"mean": metrics.over_queries(v, w)})["mean"]
        covered += found.low <= 0.7 <= found.high
    assert covered >= 87


def test_what_is_not_defined_has_no_interval():
    resamples = Resamples(Tasks.read(["a"] * 4), draws=20)
    found = resamples.judge(
        lambda weights: {
            "never": np.full(len(weights), np.nan),
            "sometimes": np.where(weights[:, 0] > 1, np.inf, 1.0),
        }
    )
    assert found["never"].value is None and found["never"].low is None
    assert found["sometimes"].value == 1 and found["sometimes"].high is None
