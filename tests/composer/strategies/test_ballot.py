"""When two answers say the same."""

import pytest

from motet.composer.strategies.ballot import normal


@pytest.mark.parametrize(
    ("form", "one", "other"),
    [
        ("auto", '{"a": 1, "b": 2}', '```json\n{"b": 2,\n "a": 1}\n```'),
        ("auto", "so the answer is 1,200.", "#### 1200"),
        ("auto", "I think the answer is (B).", "Answer: B"),
        ("auto", "SELECT  a FROM t", "select a from t"),
        ("number", "3 and then 7", "it is 7.0"),
        ("choice", "A or C? C", "C"),
        ("text", "Yes.", " yes"),
        ("number", "no digits", "No digits!"),
    ],
)
def test_answers_that_say_the_same(form, one, other):
    assert normal(one, form) == normal(other, form)


def test_answers_that_differ():
    queries = ["SELECT a FROM t LIMIT 5", "SELECT b FROM t LIMIT 5"]
    assert normal(queries[0], "auto") != normal(queries[1], "auto")
    assert normal("the answer is 4", "auto") != normal("the answer is 5", "auto")
