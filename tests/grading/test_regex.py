"""A pattern is looked for anywhere in the answer, for a second at most."""

import pytest
from tests.grading.references import grade

from motet.errors import TableError
from motet.grading import GRADERS


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (r"(?i)\bparis\b", "The capital is PARIS."),
    ],
)
async def test_right_answers(reference, answer):
    assert await grade("regex", reference, answer) == 1.0


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("^x$", "y"),
    ],
)
async def test_wrong_answers(reference, answer):
    assert await grade("regex", reference, answer) == 0.0


async def test_a_slow_search_ends():
    assert await grade("regex", "(a|a)*c|(a|a|a)*d", "a" * 40 + "b") == 0.0


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("[a", "is no regular expression"),
    ],
)
def test_wrong_references_are_refused(reference, said):
    with pytest.raises(TableError, match=said):
        GRADERS.load("regex").parse(reference)
