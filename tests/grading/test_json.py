"""Values of JSON are compared as JSON compares them, wherever they stand in the answer."""

import pytest
from tests.grading.references import grade


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ({"a": 1, "b": [True, None]}, 'Here: {"b": [true, null], "a": 1.0} as asked'),
        ({"a": 1}, '```json\n{"a": 1}\n```'),
    ],
)
async def test_right_answers(reference, answer):
    assert await grade("json", reference, answer) == 1.0


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ({"a": 1}, '{"a": true}'),
        ({"a": 1}, '{"a": 1, "b": 2}'),
        ({"a": 1}, "{" * 5000),
    ],
)
async def test_wrong_answers(reference, answer):
    assert await grade("json", reference, answer) == 0.0
