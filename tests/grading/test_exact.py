"""The answer says the accepted text, however it is written, and nothing more."""

import pytest
from tests.grading.references import grade

from motet.errors import TableError
from motet.grading import GRADERS


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("Paris", " paris. "),
        (["NYC", "New York"], "**New  York**"),
    ],
)
async def test_right_answers(reference, answer):
    assert await grade("exact", reference, answer) == 1.0


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("Paris", "It is Paris"),
    ],
)
async def test_wrong_answers(reference, answer):
    assert await grade("exact", reference, answer) == 0.0


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (7, "reference"),
    ],
)
def test_wrong_references_are_refused(reference, said):
    with pytest.raises(TableError, match=said):
        GRADERS.load("exact").parse(reference)
