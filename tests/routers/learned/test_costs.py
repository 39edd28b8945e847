"""What an answer costs: a price for it and one a character."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from motet.routers.learned.costs import CostModel
from motet.tables.routing import Table


def table(queries, costs):
    costs = np.asarray(costs, np.float32)
    return Table(
        name="t",
        experts=tuple(f"e{n}" for n in range(costs.shape[1])),
        scores=np.zeros_like(costs),
        tasks=("t",) * len(costs),
        queries=queries,
        costs=costs,
    )


def test_prices_are_found_again():
    queries = tuple("x" * size for size in (0, 10, 50, 200))
    length = np.array([[len(query)] for query in queries])
    model = CostModel.fit(table(queries, length * [[0.0, 0.1, 0.2]] + [[3.0, 1.0, 0.5]]))
    np.testing.assert_allclose(model.predict(["x" * 100], 1), [[3.0, 11.0, 20.5]], rtol=1e-4)
    assert (model.predict(None, 2) == model.predict(None, 2)[0]).all()


@given(
    st.lists(st.tuples(st.integers(0, 500), st.floats(1e-6, 1.0)), min_size=1, max_size=9),
    st.integers(0, 2000),
)
def test_no_prompt_is_paid_for(rows, size):
    queries = tuple("x" * length for length, _ in rows)
    model = CostModel.fit(table(queries, [[cost] for _, cost in rows]))
    assert (model.predict(["x" * size], 1) >= -1e-6).all()


def test_experts_come_and_go():
    queries = ("x", "xxxx")
    both = CostModel.fit(table(queries, [[1.0, 5.0], [2.0, 9.0]]))
    one, other = (CostModel.fit(table(queries, [[a], [b]])) for a, b in ((1.0, 2.0), (5.0, 9.0)))
    for model in (one.add(other), CostModel.restore(both.state())):
        np.testing.assert_array_equal(model.predict(queries, 2), both.predict(queries, 2))
    np.testing.assert_array_equal(both.remove(0).predict(queries, 2), other.predict(queries, 2))
