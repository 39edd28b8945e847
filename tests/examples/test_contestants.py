"""Ways without fusion, for the comparison at equal compute."""

import pytest
from tests.examples.conftest import EXAMPLES, script

from motet.fusion.answering import Generated


@pytest.fixture(scope="module")
def ways():
    with script("fleet/contestants.py") as module:
        yield module


@pytest.fixture
def members(ways):
    said = {"a": ["4", "x"], "b": ["The answer is 4.", "y"], "c": ["5", "y"]}
    return {name: ways.Way(texts, [1e9, 3e9]) for name, texts in said.items()}


def test_a_routed_answer_is_its_members_and_costs_as_much(ways, members):
    found = ways.routed(members, ["b", "a"])
    assert list(found.texts) == ["The answer is 4.", "x"]
    assert found.gflops == 2


def test_a_vote_is_by_what_answers_say_and_costs_all_of_them(ways, members):
    found = ways.voted(members, [["c", "a", "b"], ["a", "b", "c"]])
    assert list(found.texts) == ["4", "y"]  # whether it is announced or stands alone
    assert list(found.flops) == [3e9, 9e9]
    assert ways.majority(["p", "q", "Q."]) == "q"
    assert ways.majority(["p", "q", "r"]) == "p"  # nobody agrees: the first


@pytest.mark.parametrize("most, count, text", [(2.0, 1, "p"), (5.0, 4, "q"), (99.0, 8, "q")])
def test_samples_are_as_many_as_the_operations_allow(ways, most, count, text):
    own = [Generated(said, 1e9, 1e9) for said in ("p", "q", "q", *"qqqqq")]
    found, way = ways.agreed([own], most)
    assert (found, way.texts) == (count, [text])
    assert way.gflops == 1 + found  # one reading, and each answer's own tokens


def test_the_router_learns_only_from_the_training_half(ways):
    from motet import tables

    table = tables.read(EXAMPLES / "fleet" / "table.parquet")
    names = ("smollm", "triage")
    rows = [n for n, task in enumerate(table.tasks) if task in ("triage", "chat")][::2]
    queries = [table.queries[n] for n in rows]
    made = ways.trained_router(EXAMPLES / "fleet" / "table.parquet", names, queries, 0)
    assert made["artifact"].manifest.table.rows == len(set(queries))
    unseen = [n for n, task in enumerate(table.tasks) if task == "triage" and n not in rows]
    ranked = ways.orders(made, [table.queries[n] for n in unseen])
    assert {frozenset(order) for order in ranked} == {frozenset(names)}
    assert sum(order[0] == "triage" for order in ranked) > 0.8 * len(ranked)
