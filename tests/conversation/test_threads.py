"""Which question before it the newest turn goes on with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.conversation.threads import Newest, newest

UNITS, REGEX = "How many metres are 3 kilometres?", "Write a regex that matches 4 digits."
TABLE = "Table: orders(id, customer, total). Which orders are over 100?"


@pytest.mark.parametrize(
    ("turns", "head"),
    [
        ([UNITS], None),
        ([UNITS, "and 7?"], 0),
        ([UNITS, "and 7?", "and 9?"], 0),
        ([UNITS, "thanks", "and 7?"], 0),
        ([UNITS, "I am tired today", "and 7?"], 0),
        ([UNITS, "thanks"], None),
        ([UNITS, "Who painted the Mona Lisa?"], None),
        ([UNITS, "Who painted the Mona Lisa?", "when?"], 1),
        ([UNITS, REGEX, "and for 6?"], 1),
        ([REGEX, UNITS, "and for 6?"], 1),
        ([REGEX, UNITS, "Back to the regex: allow 5 digits too"], 0),
        ([TABLE, UNITS, "which customer has the most orders, by total?"], 0),
        (["hello", "and you?"], None),
    ],
)
def test_by_words_alone(turns, head):
    assert newest(turns).head == head


def test_it_says_whether_a_thread_was_left():
    assert newest([UNITS, "and 7?"]) == Newest(0, returns=False)
    assert newest([REGEX, UNITS, "Back to the regex: 5 digits"]) == Newest(0, returns=True)


def test_closeness_tells_a_whole_question_that_goes_on():
    turns = [TABLE, "How many are there for each client?"]
    assert newest(turns, lambda one, other: 0.0).head is None
    assert newest(turns, lambda one, other: 0.5).head == 0


def test_what_is_clearly_for_somebody_opens_a_thread_however_it_begins():
    turns = [REGEX, "and how many feet are there in those 5 yards?"]
    assert newest(turns, lambda one, other: 0.1, [True, False]).head == 0
    assert newest(turns, lambda one, other: 0.1, [True, True]).head is None


@given(st.lists(st.text(max_size=60), min_size=1, max_size=40), st.floats(-1, 1))
def test_a_head_is_an_earlier_turn(turns, close):
    head = newest(turns, lambda one, other: close).head
    assert head is None or 0 <= head < len(turns) - 1
