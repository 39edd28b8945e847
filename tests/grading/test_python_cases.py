"""A function is judged by what it returns."""

import pytest
from tests.grading.references import DOUBLE, grade

from motet.errors import TableError
from motet.grading import GRADERS


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (DOUBLE, "```python\nimport math\ndef double(x):\n    return x * 2\n```"),
    ],
)
async def test_right_answers(reference, answer):
    assert await grade("python-cases", reference, answer) == 1.0


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (DOUBLE, "def double(x): return x"),
        (DOUBLE, "def other(x): return x * 2"),
        (DOUBLE, "this is no Python"),
        (DOUBLE, "print([4, 'aa'])\ndef double(x): raise SystemExit(0)"),
        (DOUBLE, "def double(x): return object()"),
    ],
)
async def test_wrong_answers(reference, answer):
    assert await grade("python-cases", reference, answer) == 0.0


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ({"function": "f", "cases": []}, "reference.cases"),
    ],
)
def test_wrong_references_are_refused(reference, said):
    with pytest.raises(TableError, match=said):
        GRADERS.load("python-cases").parse(reference)
