"""What a contestant does on a table: who is called, at what price, and between whom."""

import numpy as np
import pytest
from tests.lab.routers.synthetic import EXPERTS, synthetic

from motet.lab.routers.controls import one_hot
from motet.lab.routers.metrics import Tasks
from motet.lab.routers.outcome import Pair, TableOutcome, best_single


@pytest.fixture
def table():
    return synthetic()


def test_the_weak_expert_is_the_cheapest_where_costs_are_known(table):
    pair = Pair.of(table)
    assert (EXPERTS[pair.strong], EXPERTS[pair.weak]) == ("both", "algebra")
    assert Pair.of(table.of(["both"])) is None


def test_the_best_single_expert_is_that_of_the_mean_over_tasks(table):
    tasks = Tasks.read(table.tasks)
    best = best_single(table, tasks)
    assert EXPERTS[best] == "both"
    means = [tasks.means(table.scores[:, column]).mean() for column in range(3)]
    assert best == int(np.argmax(means))


def test_calls_cost_what_the_table_says(table):
    column = np.arange(len(table)) % 3
    outcome = TableOutcome(name="turns", calls=one_hot(column, 3))
    np.testing.assert_allclose(outcome.costs(table), table.costs[np.arange(len(table)), column])
