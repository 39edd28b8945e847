"""A plan: where every token goes, what every query sees, and the work that follows."""

import dataclasses

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from tests.kernels.latent_oracle import make_fusions, segment

from motet.kernels import Fusion, GroupingPlan, Segment

EXPERTS = 5

requests = st.lists(
    st.tuples(st.integers(0, 40), st.lists(st.integers(0, 40), max_size=4)), min_size=1, max_size=12
)
plans = st.builds(
    lambda shape, seed, tile: (
        fusions := make_fusions(shape, EXPERTS, seed),
        GroupingPlan.build(fusions, experts=EXPERTS, query_tile=tile),
    ),
    requests,
    st.integers(0, 99),
    st.sampled_from([1, 16, 128]),
)
quick = settings(max_examples=60, deadline=None)


@quick
@given(plans)
def test_every_token_has_a_row_of_its_own(case):
    fusions, plan = case
    for grouping, tokens in (
        (plan.queries, sum(plan.query_lengths)),
        (plan.memory, sum(plan.memory_lengths)),
    ):
        assert len(grouping.rows_N) == tokens == sum(grouping.counts)
        assert len(set(grouping.rows_N.tolist())) == tokens
        assert all(0 <= row < grouping.n_rows for row in grouping.rows_N.tolist())
    owned = [r for b in range(len(fusions)) for r in range(*plan.rows_of(b)[0].indices(10**9))]
    assert sorted(plan.queries.rows_N.tolist()) == sorted(owned)


@quick
@given(plans)
def test_order_is_stable_and_its_inverse_undoes_it(case):
    fusions, plan = case
    experts = torch.tensor(
        [f.primary.expert for f in fusions for _ in f.primary.ends], dtype=torch.int64
    )
    grouping = plan.queries
    grouped = experts[grouping.order_N]
    assert (grouped.diff() >= 0).all()
    same = grouped[1:] == grouped[:-1]
    assert (grouping.order_N.diff()[same] > 0).all()
    tokens = torch.arange(len(experts))
    assert torch.equal(tokens[grouping.order_N][grouping.inverse_N], tokens)
    assert [len(part) for part in grouping.split(grouped)] == list(grouping.counts)


@quick
@given(plans)
def test_visible_rows_are_the_keys_that_end_no_later(case):
    fusions, plan = case
    owner_N = [p for p, peer in enumerate(q for f in fusions for q in f.peers) for _ in peer.ends]
    memory_ends = torch.cat([p.ends for f in fusions for p in f.peers] + [torch.zeros(0).long()])
    end_M = torch.full((plan.memory.n_rows,), -1)
    end_M[plan.memory.rows_N] = memory_ends[plan.memory.order_N]
    owners = torch.tensor(owner_N, dtype=torch.int32)[plan.memory.order_N]
    assert torch.equal(plan.pair_M[plan.memory.rows_N], owners)
    for b, fusion in enumerate(fusions):
        asking, asked = plan.rows_of(b)
        ends = end_M[asked]
        assert (ends.diff() >= 0).all()
        wanted = (ends[None, :] <= fusion.primary.ends[:, None]).sum(1)
        assert torch.equal(plan.visible_Q[asking].long(), wanted)
        assert (plan.key_start_Q[asking] == asked.start).all()


@quick
@given(plans)
def test_work_covers_every_query_that_sees_something_once_longest_first(case):
    _, plan = case
    covered = torch.zeros(plan.queries.n_rows, dtype=torch.int64)
    costs = []
    for row, count, key, most in plan.work_W4.tolist():
        covered[row : row + count] += 1
        costs.append(count * most)
        if count:
            seen = plan.visible_Q[row : row + count]
            assert int(seen.max()) == most
            assert (plan.key_start_Q[row : row + count] == key).all()
    assert costs == sorted(costs, reverse=True)
    assert (covered[plan.visible_Q > 0] == 1).all()
    assert torch.equal(plan.blind_Z, (plan.visible_Q == 0).nonzero().flatten())


def test_equal_requests_share_one_bucket_without_padding():
    plan = GroupingPlan.build(make_fusions([(64, [64, 64])] * 6, EXPERTS), experts=EXPERTS)
    assert len(plan.buckets) == 1
    assert plan.memory.n_rows == sum(plan.memory_lengths)


def test_decode_keeps_the_memory_and_shows_all_of_it():
    plan = GroupingPlan.build(
        make_fusions([(9, [5]), (2, []), (30, [7, 8])], EXPERTS), experts=EXPERTS
    )
    step = plan.decode()
    assert step.memory is not None and torch.equal(step.pair_M, plan.pair_M)
    assert step.query_lengths == (1, 1, 1)
    for b, length in enumerate(plan.memory_lengths):
        asking, asked = step.rows_of(b)
        assert plan.rows_of(b)[1] == asked
        assert step.visible_Q[asking].tolist() == [length]


def test_worst_case_grid_depends_on_shapes_alone():
    near, far = torch.arange(1, 65), torch.arange(1000, 1064)
    seeing = GroupingPlan.build(
        [Fusion(Segment(0, far), [Segment(1, near)])], experts=2, query_tile=16
    )
    blind = GroupingPlan.build(
        [Fusion(Segment(0, near), [Segment(1, far)])], experts=2, query_tile=16
    )
    assert seeing.work_W4.shape == blind.work_W4.shape
    assert not blind.work_W4.any()


def test_a_hundred_thousand_tokens():
    generator = torch.Generator().manual_seed(0)
    fusions = [
        Fusion(segment(b % 64, 400, 2000, generator), [segment(1, 600, 2000, generator)] * 2)
        for b in range(64)
    ]
    plan = GroupingPlan.build(fusions, experts=64)
    assert sum(plan.query_lengths) + sum(plan.memory_lengths) > 100_000
    assert dataclasses.is_dataclass(plan)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="power of two, got 48"):
        GroupingPlan.build([Fusion(Segment(0, torch.arange(3)))], experts=2, query_tile=48)
