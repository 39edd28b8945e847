"""What holds for every grader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.grading.references import CASES, ORDERED, SQL, TEAMS, grade

from motet.errors import ConfigError
from motet.grading import GRADERS

REFERENCES = [  # `python-cases` is not among them: a process each is too slow for many examples
    ("exact", "Paris"),
    ("exact", ["NYC", "New York"]),
    ("choice", TEAMS),
    ("choice", {"choices": ["A", "B"], "answer": "B"}),
    ("choice", {"choices": ["day", "Sun day"], "answer": "Sun day"}),
    ("numeric", 1200),
    ("numeric", -3.5),
    ("numeric", {"value": 3.14, "tolerance": 0.01}),
    ("regex", r"(?i)\bparis\b"),
    ("regex-cases", CASES),
    ("json", {"a": 1, "b": [True, None]}),
    ("json", {"a": 1}),
    ("sql", SQL),
    ("sql", ORDERED),
]


@given(st.sampled_from(REFERENCES), st.text())
async def test_no_answer_is_an_error(case, answer):
    name, reference = case
    assert await grade(name, reference, answer) in (0.0, 1.0)


def test_unknown_grader_names_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'numeric'"):
        GRADERS.load("numerik")
