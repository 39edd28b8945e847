"""Ragged cross-attention against dense attention, whatever the batch, its order and its company."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from tests.kernels.latent_oracle import DTYPES, SHAPES, Batch, assert_near, make_fusions

from motet.kernels import Fusion, Segment, attend

EXPERTS = 4
IMPLEMENTATIONS = ("reference", "cpu")


def run(batch, plan, **options):
    q, k, v = batch.packed(plan)
    return attend(q, k, v, plan, log_weight_M=plan.per_key(batch.log_weight), **options)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(("heads", "width"), [(2, 8), (3, 64), (1, 5)])
def test_equals_the_dense_oracle(shape, implementation, dtype, heads, width):
    batch = Batch.random(make_fusions(shape, EXPERTS), EXPERTS, dtype, heads, width)
    plan = batch.plan(query_tile=64)
    out = run(batch, plan, implementation=implementation)
    assert out.dtype == dtype
    for got, wanted in zip(batch.per_request(out, plan), batch.oracle(), strict=True):
        assert_near(got, wanted, dtype)


@pytest.mark.parametrize("experts", [1, 64])
def test_one_expert_and_many(experts):
    # With one expert it is its own peer, and every byte end of a request may be tied.
    batch = Batch.random(make_fusions([(9, [5, 6])] * 70, experts), experts, torch.float32)
    plan = batch.plan()
    out = run(batch, plan)
    for got, wanted in zip(batch.per_request(out, plan), batch.oracle(), strict=True):
        assert_near(got, wanted, torch.float32)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_decode_sees_the_whole_memory(dtype):
    shape = [(3, [50, 20]), (8, []), (2, [64]), (5, [61])]
    batch = Batch.random(make_fusions(shape, EXPERTS), EXPERTS, dtype)
    plan = batch.plan()
    _, k, v = batch.packed(plan)
    step = Batch.random(
        [Fusion(Segment(f.primary.expert, torch.tensor([10**6])), f.peers) for f in batch.fusions],
        EXPERTS,
        dtype,
        seed=1,
    )
    step.keys, step.values, step.log_weight = batch.keys, batch.values, batch.log_weight
    decode = plan.decode()
    q, _, _ = step.packed(step.plan())
    q = torch.cat([x for x in step.queries])[torch.tensor(order(decode))]
    weight = decode.per_key(batch.log_weight)
    for implementation in IMPLEMENTATIONS:
        out = attend(q, k, v, decode, log_weight_M=weight, implementation=implementation)
        for got, wanted in zip(batch.per_request(out, decode), step.oracle(), strict=True):
            assert_near(got, wanted, dtype)


def order(plan):
    return [b for bucket in plan.buckets for b in bucket.requests]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.lists(st.integers(0, 30), max_size=3)),
        min_size=1,
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_order_of_requests_and_of_peers_changes_nothing(shape, rng):
    batch = Batch.random(make_fusions(shape, EXPERTS), EXPERTS)
    plan = batch.plan()
    requests = rng.sample(range(len(shape)), len(shape))
    starts = [sum(len(f.peers) for f in batch.fusions[:b]) for b in range(len(shape))]
    peers = [rng.sample(range(len(f.peers)), len(f.peers)) for f in batch.fusions]
    pairs = [starts[b] + i for b in requests for i in peers[b]]
    shuffled = Batch(
        [
            Fusion(batch.fusions[b].primary, [batch.fusions[b].peers[i] for i in peers[b]])
            for b in requests
        ],
        EXPERTS,
        [batch.queries[b] for b in requests],
        [batch.keys[p] for p in pairs],
        [batch.values[p] for p in pairs],
        batch.log_weight[pairs],
    )
    other = shuffled.plan()
    before = batch.per_request(run(batch, plan), plan)
    after = shuffled.per_request(run(shuffled, other), other)
    for b, got in zip(requests, after, strict=True):
        assert_near(got, before[b], torch.float64)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_batch_equals_its_requests_alone(dtype):
    shape = [(130, [40, 70]), (20, [31]), (19, [30]), (6, []), (300, [200, 100, 50])]
    batch = Batch.random(make_fusions(shape, EXPERTS), EXPERTS, dtype)
    plan = batch.plan()
    together = batch.per_request(run(batch, plan), plan)
    first = 0
    for b, fusion in enumerate(batch.fusions):
        last = first + len(fusion.peers)
        alone = Batch(
            [fusion],
            EXPERTS,
            [batch.queries[b]],
            batch.keys[first:last],
            batch.values[first:last],
            batch.log_weight[first:last],
        )
        if fusion.peers:
            one = alone.plan()
            assert_near(run(alone, one)[one.rows_of(0)[0]], together[b], dtype)
        first = last


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_the_future_changes_nothing_before_it(implementation, dtype):
    batch = Batch.random(make_fusions([(150, [90, 60])], EXPERTS), EXPERTS, dtype)
    plan = batch.plan()
    before = run(batch, plan, implementation=implementation)
    ends_T, moment = batch.fusions[0].primary.ends, 300
    for peer, k, v in zip(batch.fusions[0].peers, batch.keys, batch.values, strict=True):
        future = peer.ends > moment
        assert future.any()
        k[future] += 100
        v[future] -= 100
    after = run(batch, plan, implementation=implementation)
    asking, _ = plan.rows_of(0)
    past = ends_T <= moment
    assert torch.equal(after[asking][past], before[asking][past])
    assert not torch.equal(after[asking][~past], before[asking][~past])


def test_weights_act_as_copies_of_a_peer():
    # A peer of weight 2 equals the same peer twice.
    ends = torch.arange(1, 9)
    single = Fusion(Segment(0, ends), [Segment(1, ends), Segment(2, ends)])
    batch = Batch.random([single], 3)
    batch.log_weight = torch.tensor([2.0, 1.0], dtype=torch.float64).log()
    twice = Batch(
        [Fusion(single.primary, [single.peers[0], *single.peers])],
        3,
        batch.queries,
        [batch.keys[0], *batch.keys],
        [batch.values[0], *batch.values],
        torch.zeros(3, dtype=torch.float64),
    )
    one, two = batch.plan(), twice.plan()
    got, wanted = run(batch, one)[one.rows_of(0)[0]], run(twice, two)[two.rows_of(0)[0]]
    assert_near(got, wanted, torch.float64)


def test_a_weight_of_zero_silences_a_peer():
    batch = Batch.random(make_fusions([(20, [15, 12])], EXPERTS), EXPERTS, torch.float32)
    plan = batch.plan()
    batch.log_weight = torch.tensor([0.0, -torch.inf])
    before = run(batch, plan)
    batch.values[1] += 1000
    assert torch.isfinite(before).all()
    seen_by_first = plan.visible_Q > 20  # far enough for the audible peer to be in sight
    assert_near(run(batch, plan)[seen_by_first], before[seen_by_first], torch.float32)


def test_operator_passes_opcheck():
    batch = Batch.random(make_fusions([(5, [4, 3]), (3, [])], EXPERTS), EXPERTS, torch.float32)
    plan = batch.plan(query_tile=4)
    for bias in (None, torch.randn(plan.memory.n_rows, requires_grad=True)):
        q, k, v = (x.requires_grad_() for x in batch.packed(plan))
        torch.library.opcheck(
            torch.ops.motet.cross_attention.default, (q, k, v, bias, *plan.tensors, 0.5, "cpu")
        )


@pytest.mark.filterwarnings("default")  # of the compiler, not ours
def test_compiles_without_a_graph_break():
    batch = Batch.random(make_fusions([(40, [30, 20]), (7, [9])], EXPERTS), EXPERTS, torch.float32)
    plan = batch.plan()
    q, k, v = (x.requires_grad_() for x in batch.packed(plan))

    def step(q, k, v, w):
        return attend(q * 2, k, v, plan, log_weight_M=plan.per_key(w)).sin()

    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    weight = batch.log_weight.float().requires_grad_()
    got, wanted = compiled(q, k, v, weight), step(q, k, v, weight)
    assert_near(got, wanted, torch.float32)
    for a, b in zip(
        torch.autograd.grad(got.sum(), (q, k, v, weight)),
        torch.autograd.grad(wanted.sum(), (q, k, v, weight)),
        strict=True,
    ):
        assert_near(a, b, torch.float32)


def test_a_hundred_thousand_tokens():
    shape = [(200, [300, 290])] * 128
    fusions = make_fusions(shape, 64)
    batch = Batch.random(fusions, 64, torch.float32, heads=1, width=16)
    plan = batch.plan()
    assert sum(plan.query_lengths) + sum(plan.memory_lengths) > 100_000
    out = run(batch, plan)
    assert_near(out, run(batch, plan, implementation="reference"), torch.float32)


def test_bad_arguments_are_named():
    batch = Batch.random(make_fusions([(5, [4, 3])], EXPERTS), EXPERTS, torch.float32)
    plan = batch.plan()
    q, k, v = batch.packed(plan)
    cases = [
        ((q[:-1], k, v), {}, "q has 4 rows, but the plan has 5 query rows"),
        ((q, k[1:], v), {}, "k has 6 rows, but the plan has 7 memory rows"),
        ((q, k, v[:, :1]), {}, r"v has \(1, 8\) heads and head width, but q has \(2, 8\)"),
        ((q, k.double(), v), {}, "k is torch.float64, but q is torch.float32"),
        ((q.flatten(1), k, v), {}, r"\[rows, heads, head width\], got shape \(5, 16\)"),
        (
            (q, k, v),
            {"log_weight_M": torch.zeros(3)},
            r"shape \(3,\), but the plan has 7 memory rows",
        ),
        ((q, k, v), {"implementation": "cuda"}, "no implementation 'cuda'"),
    ]
    for args, options, message in cases:
        with pytest.raises(ValueError, match=message):
            attend(*args, plan, **options)
    with pytest.raises(ValueError, match=r"shape \(3,\), but the plan has 2 pairs"):
        plan.per_key(torch.zeros(3))
