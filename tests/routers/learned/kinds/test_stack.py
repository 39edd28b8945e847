"""A stack: convex weights of its parts, learned on rows that they had not seen."""

import numpy as np
from tests.routers.learned import world

ASKED = world.queries(world.table(60, seed=7))


def test_one_part_is_that_part():
    alone = world.trained("stack", world.table(), of=[{"kind": "ridge"}])
    np.testing.assert_allclose(
        alone.estimate(ASKED).quality, world.once("ridge").estimate(ASKED).quality, atol=1e-6
    )


def test_a_part_that_knows_nothing_weighs_little():
    parts = [{"kind": "length"}, {"kind": "ridge"}, {"kind": "knn", "k": [5]}]
    stack = world.trained("stack", world.table(300), of=parts)
    told = stack.explain(ASKED.take(np.array([0])))["parts"]
    weights = {part["kind"]: part["weight"] for part in told}
    assert weights.get("length", 0.0) < min(weights["ridge"], weights["knn"])
    assert abs(sum(weights.values()) - 1) < 1e-3
