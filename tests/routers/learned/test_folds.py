"""Folds: every row is held out once, beside all rows of its question."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from motet.routers.learned.folds import advantage, folds
from motet.tables.routing import Table


@given(
    st.lists(st.sampled_from("abcdef"), min_size=1, max_size=30),
    st.integers(2, 5),
    st.integers(0, 9),
)
def test_every_row_is_held_out_once_and_questions_stay_together(queries, count, seed):
    table = Table(
        name="t",
        experts=("e",),
        scores=np.zeros((len(queries), 1), np.float32),
        tasks=("t",) * len(queries),
        queries=tuple(queries),
    )
    parts = list(folds(table, count, seed))
    assert len(parts) == min(count, len(set(queries)))
    assert sorted(row for _, held in parts for row in held) == list(range(len(queries)))
    for known, held in parts:
        assert sorted([*known, *held]) == list(range(len(queries)))
        assert not {queries[row] for row in known} & {queries[row] for row in held}


def test_an_advantage_is_what_is_left_of_the_rows_mean():
    found = advantage(np.array([[1.0, 0.0], [0.5, 0.5]]))
    assert found.tolist() == [[0.5, -0.5], [0.0, 0.0]]
