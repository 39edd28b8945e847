"""Keywords from a text alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.routers.skill import lexical
from motet.routers.skill.keywords import MOST, MOST_CHARS


@pytest.mark.parametrize(
    ("text", "skill"),
    [
        ("Ann has 5 pears and buys 4 more. How many pears are there in all?", "arithmetic"),
        ("Write a SQL query for the names of employees.", "sql"),
        ("Regular expression for exactly 5 digits:", "regex"),
        ("Return JSON with the keys name, city: Bo flies to Rome.", "json"),
        ("Classify this customer message: where is my refund?", "classification"),
        ("Convert 3 kilometres to metres.", "units"),
        ("The defendant was convicted by a jury of murder.", "law"),
        ("def add(a, b):\n    '''Sum.'''\n", "code completion"),
        ("Which is true?\nA. one\nB. two\nC. three", "multiple choice"),
        ("新生儿棕色脂肪组织具有产热功能的关键性生物分子是", "chinese"),
    ],
)
def test_skills_are_named(text, skill):
    assert skill in lexical.keywords(text)


@pytest.mark.parametrize("text", ["", "   \n", "?!", "12 34", "the of and"])
def test_a_text_that_says_nothing_has_no_skill(text):
    assert lexical.keywords(text) == ()


@given(st.text(max_size=300))
def test_keywords_are_few_short_and_the_same_again(text):
    found = lexical.keywords(text)
    assert len(found) <= MOST and len(set(found)) == len(found)
    assert all(0 < len(word) <= MOST_CHARS for word in found)
    assert found == lexical.keywords(text)


def test_what_stands_far_behind_is_not_read():
    filler = "word " * 100_000
    assert lexical.keywords(filler + "SQL query") == lexical.keywords(filler)


def test_a_change_of_what_comes_out_raises_the_version():
    """If this fails and the new words are right: raise lexical.VERSION, then mend the test."""
    text = "Solve: Jack fills 7 shelves. Each holds 2 pencils. How many pencils does he have?"
    expected = ("arithmetic", "pencil", "fill", "shelve", "hold")
    assert (lexical.VERSION, lexical.keywords(text)) == (1, expected)
