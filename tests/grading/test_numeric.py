"""The last number of an answer counts, however it is written."""

import pytest
from tests.grading.references import grade

from motet.errors import TableError
from motet.grading import GRADERS


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (1200, "3 * 400 = 1,200. The answer is 1,200.00 metres"),
        (-3.5, "So it is -3.5"),
        ({"value": 3.14, "tolerance": 0.01}, "about 3.1416"),
    ],
)
async def test_right_answers(reference, answer):
    assert await grade("numeric", reference, answer) == 1.0


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (19, "19 or 20"),
        (19, "no number"),
    ],
)
async def test_wrong_answers(reference, answer):
    assert await grade("numeric", reference, answer) == 0.0


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("nineteen", "reference"),
        (float("nan"), "finite"),
    ],
)
def test_wrong_references_are_refused(reference, said):
    with pytest.raises(TableError, match=said):
        GRADERS.load("numeric").parse(reference)
