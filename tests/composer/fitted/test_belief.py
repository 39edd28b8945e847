"""Beliefs: calibrated chances that add up, whoever was asked."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.composer.fitted.world import EXPERTS, columns

from motet.composer.fitted.answers import candidates
from motet.composer.fitted.belief import fit_belief


def world(rows=300, seed=0):
    made = columns(rows, seed)
    answers = list(zip(*(made[f"answer:{name}"] for name in EXPERTS), strict=True))
    scores = np.stack([made[f"score:{name}"] for name in EXPERTS], axis=1)
    tasks = np.arange(rows) % 2
    forms = ["exact" if task else "value" for task in tasks]
    given = candidates(answers, made["query"], forms)
    return given, given.right(scores), tasks, scores


GIVEN, RIGHT, TASKS, SCORES = world()
BELIEF = fit_belief(GIVEN, RIGHT, TASKS, 2, draws=2, penalty=1.0, seed=0)


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, len(EXPERTS) - 1), min_size=1))
def test_chances_are_of_answers_that_were_given(asked):
    chances = BELIEF.chances(GIVEN, TASKS, sorted(asked))
    assert (chances >= 0).all() and (chances.sum(axis=1) <= 1 + 1e-9).all()
    for row in range(0, 40):
        seen = {n for n in GIVEN.number[row, sorted(asked)] if n >= 0}
        assert {int(n) for n in np.flatnonzero(chances[row])} == seen


def test_it_beats_the_majority_and_is_calibrated():
    given, right, tasks, _ = world(400, 1)
    everybody = range(len(EXPERTS))
    chances = BELIEF.chances(given, tasks, everybody)
    rows = np.arange(len(given))
    best = chances.argmax(axis=1)
    counts = np.stack([(given.number == n).sum(axis=1) for n in range(chances.shape[1])], axis=1)
    accuracy = right[rows, best].mean()
    assert accuracy > right[rows, counts.argmax(axis=1)].mean()
    assert abs(accuracy - chances[rows, best].mean()) < 0.05


def test_nobody_who_answers_leaves_no_chance():
    silent = candidates([["", ""]], ["q"], ["value"])
    belief = fit_belief(silent, np.zeros((1, 1)), np.zeros(1, int), 1, draws=0, penalty=1.0, seed=0)
    assert belief.chances(silent, np.zeros(1, int), (0, 1)).tolist() == [[0.0]]


def test_a_fit_is_the_same_each_time():
    again = fit_belief(GIVEN, RIGHT, TASKS, 2, draws=2, penalty=1.0, seed=0)
    assert np.array_equal(again.weights, BELIEF.weights)
