"""The last choice an answer names is its choice."""

import pytest
from tests.grading.references import TEAMS, grade

from motet.errors import TableError
from motet.grading import GRADERS


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (TEAMS, "technical"),
        (TEAMS, "Not billing: the label is Technical."),
        ({"choices": ["A", "B"], "answer": "B"}, "It is a B."),
        ({"choices": ["day", "Sun day"], "answer": "Sun day"}, "sun day"),
    ],
)
async def test_right_answers(reference, answer):
    assert await grade("choice", reference, answer) == 1.0


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (TEAMS, "technical or billing"),
        (TEAMS, "a letter"),
        (TEAMS, ""),
    ],
)
async def test_wrong_answers(reference, answer):
    assert await grade("choice", reference, answer) == 0.0


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ({"choices": ["a", "b"], "answer": "c"}, "none of a, b"),
        ({"choices": ["a"], "answer": "a"}, "reference.choices"),
    ],
)
def test_wrong_references_are_refused(reference, said):
    with pytest.raises(TableError, match=said):
        GRADERS.load("choice").parse(reference)
