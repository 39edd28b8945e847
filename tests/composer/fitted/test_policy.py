"""Courses: who is asked, until when, and what it costs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.composer.fitted.policy import Course, run

CHANCES = {(0,): [0.95, 0.5, 0.1], (0, 1): [0.1, 0.8, 0.6], (0, 1, 2): [0.3, 0.9, 0.7]}
SCORES = {(0,): [1, 0, 0], (0, 1): [0, 1, 0], (0, 1, 2): [0, 1, 1]}
COSTS = np.array([[1.0, 10.0, 100.0]] * 3)


def best(asked):
    return np.array(CHANCES[asked]), np.array(SCORES[asked], float)


def test_an_answer_is_kept_at_its_threshold():
    said = run(Course((0, 1, 2), 0.8), best, COSTS)
    assert said.calls.tolist() == [1, 2, 3]
    assert said.cost.tolist() == [1, 11, 111] and said.score.tolist() == [1, 1, 1]
    assert said.chance.tolist() == [0.95, 0.8, 0.7]


def test_where_it_is_hopeless_nobody_else_is_asked():
    said = run(Course((0, 1, 2), 0.8, hopeless=0.2), best, COSTS)
    assert said.calls.tolist() == [1, 2, 1] and said.score.tolist() == [1, 1, 0]


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_asks_no_fewer(one, other):
    low, high = sorted((one, other))
    asked = [run(Course((0, 1, 2), t), best, COSTS).calls for t in (low, high)]
    assert (asked[0] <= asked[1]).all()


@pytest.mark.parametrize("chance", [0.3, np.array([0.3, 0.9])])
def test_one_rule_for_live_and_recorded(chance):
    assert np.array_equal(Course((0, 1), 0.8, 0.1).goes_on(chance), chance < 0.8)
