"""Equal experts are one, in an order that does not depend on theirs."""

import dataclasses

import numpy as np
from tests.routers.learned import world

from motet.routers.learned.prepare import distinct, record, scale


def test_equal_columns_are_learned_once_unless_names_matter():
    of = world.table(20)
    twins = dataclasses.replace(
        of,
        experts=(*of.experts, "twin"),
        scores=of.scores[:, [0, 1, 2, 3, 1]],
        costs=of.costs[:, [0, 1, 2, 3, 1]],
    )
    columns, unlike = distinct(twins, keep_all=False)
    assert columns[4] == columns[1] and len(unlike.experts) == 4
    for column, own in enumerate(columns):
        np.testing.assert_array_equal(unlike.scores[:, own], twins.scores[:, column])
    assert len(distinct(twins, keep_all=True)[1].experts) == 5


def test_the_order_of_experts_is_no_matter():
    order = ("cheap", "solver", "jurist", "coder")
    one, other = (
        distinct(world.table(20, experts=e), keep_all=False)[1] for e in (order, world.EXPERTS)
    )
    np.testing.assert_array_equal(one.scores, other.scores)


def test_the_scale_is_the_dearest_experts():
    of = world.table(20)
    assert scale(of.costs) == np.float32(8e-3)
    assert scale(np.zeros((3, 2), np.float32)) == 1
    assert (record(of).rows, record(of).digest) == (20, of.digest)
