"""A pattern is judged by what it matches and refuses, wherever it stands in the answer."""

import pytest
from tests.grading.references import CASES, grade


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (CASES, "[a-z]+[0-9]+"),
        (CASES, "```regex\n^[a-z]+\\d+$\n```"),
        (CASES, "`/[a-z]+[0-9]+/`\nThis matches letters, then digits."),
    ],
)
async def test_right_answers(reference, answer):
    assert await grade("regex-cases", reference, answer) == 1.0


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (CASES, ".*"),
        (CASES, "[a-z"),
    ],
)
async def test_wrong_answers(reference, answer):
    assert await grade("regex-cases", reference, answer) == 0.0


async def test_a_slow_pattern_ends():
    slow = {"match": ["a" * 40 + "b"], "refuse": []}
    assert await grade("regex-cases", slow, "(a|a)*c|(a|a|a)*d") == 0.0
