"""Keywords have one form, whoever writes them."""

from hypothesis import given
from hypothesis import strategies as st

from motet.routers.skill.keywords import MOST, MOST_CHARS, normal, usable


def test_words_are_brought_to_one_form():
    words = ["  Tort_Law. ", "tort law", "", "x" * 21, "SQL", "a", "b", "c", "d"]
    assert usable(words) == ("tort law", "sql", "a", "b", "c")


@given(st.lists(st.text(max_size=30), max_size=9))
def test_what_is_usable_stays_so(words):
    found = usable(words)
    assert len(found) <= MOST and len(set(found)) == len(found)
    assert all(0 < len(word) <= MOST_CHARS for word in found)
    assert usable(found) == found


def test_forms_of_one_word_are_one():
    assert (
        normal("  Tort_Law ")
        == normal("tort  law")
        == normal("\uff34\uff2f\uff32\uff34 law")
        == "tort law"
    )
