"""The tokens of a batch: how they are sorted, what they see, and which are refused."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from motet.kernels import Fusion, GroupingPlan, Segment
from motet.kernels.tokens import count_visible, sort_by, within


@pytest.mark.parametrize(
    ("fusions", "message"),
    [
        ([], "at least one request, got 0"),
        ([Fusion(Segment(7, torch.arange(3)))], "expert 7, but there are 2"),
        ([Fusion(Segment(0, torch.ones(3)))], "vector of integers, got torch.float32"),
        ([Fusion(Segment(0, torch.ones(2, 2).long()))], r"shape \(2, 2\)"),
        ([Fusion(Segment(0, torch.tensor([-4])))], "start at 0, got -4"),
    ],
)
def test_bad_fusions_are_named(fusions, message):
    with pytest.raises(ValueError, match=message):
        GroupingPlan.build(fusions, experts=2)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_tokens_are_sorted_by_one_key_then_the_next_and_stay_in_order(pairs):
    order = sort_by(*(torch.tensor(key) for key in zip(*pairs, strict=True)))
    assert order.tolist() == sorted(range(len(pairs)), key=pairs.__getitem__)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_positions_start_anew_in_every_request(lengths):
    assert within(lengths).tolist() == [i for length in lengths for i in range(length)]


@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 30)), st.lists(st.integers(0, 30))),
        min_size=1,
        max_size=5,
    )
)
def test_a_query_sees_the_keys_that_end_no_later(requests):
    keys = [(b, end) for b, (memory, _) in enumerate(requests) for end in sorted(memory)]
    asked = [(b, end) for b, (_, queries) in enumerate(requests) for end in queries]

    def columns(rows):
        return torch.tensor(rows, dtype=torch.int64).reshape(-1, 2).unbind(1)

    lengths = [len(memory) for memory, _ in requests]
    seen = count_visible(*columns(keys), *columns(asked), lengths)
    assert seen.tolist() == [sum(key <= end for key in requests[b][0]) for b, end in asked]
