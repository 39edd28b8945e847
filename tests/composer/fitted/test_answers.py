"""Short answers: which are the same, and where they stand in a text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.composer.fitted.answers import SIGNS, alike, best_form, candidates, short


@pytest.mark.parametrize(
    ("one", "other", "form", "same"),
    [
        ("18", "$18.00", "value", True),
        ("1,000", "1000 eggs", "value", True),
        ("3/4", "0.75", "value", True),
        ("18", "81", "value", False),
        ("'a'", '"a"', "exact", True),
        ("[1,2]", "[1, 2]", "exact", False),
        ("''", '""', "exact", True),
    ],
)
def test_the_same_answer(one, other, form, same):
    assert (alike(one, form) == alike(other, form)) is same


def test_nothing_is_no_answer_but_quotes_around_nothing_are():
    assert alike("", "exact") is None and alike("none", "value") is None
    assert alike("''", "exact") == ""


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"reasoning": "so", "answer": "42"}', "42"),
        ('Well: {"answer": [1, 2]} I think', "[1, 2]"),
        ("2 + 2, so the answer is 4", "4"),
        ("first\nlast line", "last line"),
        ("", ""),
    ],
)
def test_the_short_answer_of_a_text(text, answer):
    assert short(text) == answer


@given(st.text(max_size=60), st.sampled_from(["exact", "value"]))
def test_any_text_is_read(text, form):
    same = alike(text, form)
    assert same is None or alike(text, form) == same
    made = candidates([[text, text]], ["q"], [form])
    assert made.signs.shape[2] == len(SIGNS) and made.number[0, 0] == made.number[0, 1]
    assert isinstance(short(text), str)


def test_candidates_and_their_scores():
    made = candidates([["1", "$1", "2", ""]], ["what is 2?"], ["value"])
    assert made.number.tolist() == [[0, 0, 1, -1]]
    assert made.right(np.array([[1.0, 0.5, 0.0, 1.0]])).tolist() == [[0.75, 0.0]]
    assert made.signs[0, 1, SIGNS.index("in query")] == 1
    assert made.take([0]).number.tolist() == made.number.tolist()


def test_the_form_is_told_from_scores():
    numbers = [["18", "$18", "20"], ["3", "3.0", "4"]] * 5
    texts = [["[1, 2]", "[1, 2]", "[1,2]"], ["a1", "a1", "b1"]] * 5
    scores = np.array([[1, 1, 0]] * 10)
    assert best_form(numbers, scores) == "value" and best_form(texts, scores) == "exact"
