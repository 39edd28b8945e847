"""The calls of a CPU cover the work of a plan, once each, within what a call may pack."""

import hypothesis.strategies as st
import torch
from hypothesis import given, settings
from tests.kernels.latent_oracle import make_fusions

from motet.kernels import GroupingPlan
from motet.kernels.cpu_calls import FUSED_KEYS, FUSED_QUERIES, cpu_work


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 700), st.lists(st.integers(0, 700), max_size=3)),
        min_size=1,
        max_size=6,
    )
)
def test_calls_cover_every_tile_of_every_request_once(shape):
    plan = GroupingPlan.build(make_fusions(shape, 4), experts=4)
    for bucket, tiles, calls in cpu_work(plan.buckets_G5, plan.tiles_W5):
        n, q0, queries, m0, memory = bucket
        covered = torch.zeros(n, queries, dtype=torch.int64)
        for (some, start, distance, m, width), (first, last, few, most) in calls:
            assert (distance, width) == (queries, memory)
            request, rest = divmod(start - q0, queries)
            assert rest == 0 and m == m0 + request * memory
            assert last - first <= FUSED_QUERIES
            assert queries == 1 or some == 1 or some * most <= FUSED_KEYS
            inside = [tile for tile in tiles if first <= tile[0] and tile[1] <= last]
            assert few == min(tile[2] for tile in inside)
            assert most == max(tile[3] for tile in inside)
            covered[request : request + some, first:last] += 1
        for first, last, _, _ in tiles:
            assert (covered[:, first:last] == 1).all()
