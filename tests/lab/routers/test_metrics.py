"""Means, calibration and intervals, against plain loops and known truths."""

import numpy as np
import pytest

from motet.lab.routers import metrics
from motet.lab.routers.bootstrap import Resamples
from motet.lab.routers.metrics import Tasks


def ones(rows):
    return np.ones((1, rows), np.float32)


def test_means_over_tasks_and_queries():
    tasks = Tasks.read(["b", "a", "b", "b"])
    values = np.array([1.0, 0.5, 0.0, 1.0])
    assert tasks.names == ("a", "b") and tasks.sizes.tolist() == [1, 3]
    assert tasks.means(values).tolist() == [0.5, pytest.approx(2 / 3)]
    assert metrics.over_tasks(values, tasks, ones(4))[0] == pytest.approx((0.5 + 2 / 3) / 2)
    assert metrics.over_queries(values, ones(4))[0] == pytest.approx(0.625)
    assert metrics.over_queries(np.eye(4), ones(4)).shape == (1, 4)


def test_weights_count_rows_again():
    tasks, values = Tasks.read(["a", "a", "b"]), np.array([1.0, 0.0, 0.25])
    weights = np.array([[2.0, 0.0, 1.0]])
    assert metrics.over_tasks(values, tasks, weights)[0] == pytest.approx((1 + 0.25) / 2)


def test_calibration_of_the_true_chances_is_good_and_of_their_opposite_is_not():
    random = np.random.default_rng(0)
    chances = random.random((4000, 3))
    scores = (random.random(chances.shape) < chances).astype(float)
    assert metrics.calibration_error(chances, scores, ones(4000))[0] < 0.02
    assert metrics.calibration_error(1 - chances, scores, ones(4000))[0] > 0.4
    assert metrics.brier(chances, scores, ones(4000))[0] == pytest.approx(1 / 6, abs=0.01)
    bins = metrics.calibration(chances, scores)
    assert len(bins.count) == metrics.BINS and np.ptp(bins.count) <= 1
    assert np.allclose(bins.estimated, bins.observed, atol=0.06)


def test_calibration_by_hand():
    quality, scores = np.array([[0.2], [0.2], [0.9]]), np.array([[0.0], [1.0], [1.0]])
    # Two bins: 0.2 beside 0.5, twice, and 0.9 beside 1.
    assert metrics.calibration_error(quality, scores, ones(3))[0] == pytest.approx(0.7 / 3)
    assert metrics.brier(quality, scores, ones(3))[0] == pytest.approx((0.04 + 0.64 + 0.01) / 3)


def test_experts_of_whom_nothing_is_said_do_not_count():
    quality, scores = np.full((5, 2), 0.5), np.ones((5, 2))
    quality[:, 1] = np.nan
    assert metrics.calibration_error(quality, scores, ones(5))[0] == pytest.approx(0.5)
    assert metrics.brier(quality, scores, ones(5))[0] == pytest.approx(0.25)
    assert metrics.calibration(quality, scores).count.sum() == 5


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
