"""Means and calibration, against plain loops and known truths."""

import numpy as np
import pytest

from motet.lab.routers import metrics
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


def test_auroc_is_that_of_the_library():
    from sklearn.metrics import roc_auc_score

    from motet.lab.routers.metrics import auroc

    random = np.random.default_rng(0)
    right = (random.random(200) < 0.4).astype(float)
    chances = np.round(random.random(200) * 0.5 + right * 0.3, 1)  # with ties
    weights = random.integers(0, 3, size=(2, 200)).astype(float)
    got = auroc(chances, right, np.concatenate([np.ones((1, 200)), weights, np.zeros((1, 200))]))
    assert got[0] == pytest.approx(roc_auc_score(right, chances))
    for row in (0, 1):
        assert got[1 + row] == pytest.approx(
            roc_auc_score(right, chances, sample_weight=weights[row])
        )
    assert np.isnan(got[3])
