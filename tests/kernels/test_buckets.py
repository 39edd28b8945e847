"""Buckets: every request in one, padding bounded, rows end to end."""

import hypothesis.strategies as st
from hypothesis import given, settings

from motet.kernels.buckets import MAX_PADDING, make_buckets

quick = settings(max_examples=60, deadline=None)


@quick
@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 9000)), min_size=1, max_size=40))
def test_buckets_partition_requests_and_bound_padding(lengths):
    queries, memory = zip(*lengths, strict=True)
    buckets = make_buckets(queries, memory)
    assert sorted(b for bucket in buckets for b in bucket.requests) == list(range(len(lengths)))
    for bucket in buckets:
        real = sum(memory[b] for b in bucket.requests)
        assert bucket.n * bucket.memory <= (1 + MAX_PADDING) * real
        assert all(queries[b] <= bucket.queries for b in bucket.requests)
        assert all(memory[b] <= bucket.memory for b in bucket.requests)


@quick
@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), min_size=1, max_size=20))
def test_buckets_lie_end_to_end(lengths):
    row = key = 0
    for bucket in make_buckets(*zip(*lengths, strict=True)):
        assert (bucket.query_start, bucket.memory_start) == (row, key)
        row += bucket.n * bucket.queries
        key += bucket.n * bucket.memory
