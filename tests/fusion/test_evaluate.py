"""Controls of an evaluation: other questions, hints, and differences that are paired."""

from hypothesis import given
from hypothesis import strategies as st
from tests.fusion.world import ask

from motet.fusion.data import Example
from motet.fusion.evaluate import deranged, difference, grades, hint
from motet.types import Request


@given(st.lists(st.sampled_from("ab"), min_size=4, max_size=20), st.integers(0, 5))
def test_deranged_peers_read_another_question_of_the_task(tasks, seed):
    examples = [Example(ask(f"{task}{n}"), "x", task) for n, task in enumerate(tasks)]
    others = deranged(examples, seed)
    assert sorted(r.prompt for r in others) == sorted(x.request.prompt for x in examples)
    for example, other in zip(examples, others, strict=True):
        assert other.prompt[0] == example.task
        assert tasks.count(example.task) == 1 or other.prompt != example.request.prompt


def test_differences_are_paired():
    better = difference([1.0] * 30 + [0.0] * 10, [0.0] * 30 + [0.0] * 10)
    assert better.points == 75 and better.low < 75 < better.high and better.p <= 0.001
    even = difference([1.0, 0.0] * 20, [0.0, 1.0] * 20)
    assert even.points == 0 and even.p > 0.3
    same = difference([1.0, 0.0] * 20, [1.0, 0.0] * 20)
    assert (same.points, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_a_hint_stands_before_the_question():
    assert hint(ask("Q"), ["tin\n"]).prompt == "Another model answers: tin\nQ"
    chat = Request(
        model="", messages=({"role": "system", "content": "S"}, {"role": "user", "content": "Q"})
    )
    assert hint(chat, ["a", "b"]).messages[0]["content"] == "S"
    assert hint(chat, ["a", "b"]).messages[1]["content"].endswith("answers: b\nQ")


def test_every_example_is_judged_by_its_own_grader():
    examples = [
        Example(ask("capital?"), "Paris", reference="Paris"),
        Example(ask("1 + 1?"), "2", grader="numeric", reference=2),
    ]
    assert grades(examples, ["paris.", "it is 2"]) == [1, 1]
    assert grades(examples, ["it is Paris", "3"]) == [0, 0]
