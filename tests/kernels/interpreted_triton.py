"""Every Triton kernel against the reference; `test_triton.py` runs this under the interpreter."""

import pytest
import torch
from tests.kernels.latent_oracle import SHAPES, TOLERANCE, Batch, assert_near, make_fusions

from motet.kernels import GroupingPlan, attend, project, project_back
from motet.kernels.triton.shared import expert_table, filled

EXPERTS = 4
DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@pytest.mark.parametrize(
    ("dtype", "weighted"),
    [(torch.float32, False), (torch.float32, True), (torch.float16, True), (torch.bfloat16, True)],
    ids=str,
)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("mode", ["prefill", "decode"])
def test_attention(shape, mode, weighted, dtype):
    batch = Batch.random(make_fusions(shape, EXPERTS), EXPERTS, dtype, heads=2, width=20)
    plan = batch.plan(query_tile=64)
    q, k, v = batch.packed(plan)
    if mode == "decode":
        plan = plan.decode()
        q = torch.randn(plan.queries.n_rows, 2, 20).to(dtype)
    weight = plan.per_key(batch.log_weight) if weighted else None
    got = attend(q, k, v, plan, log_weight_M=weight, implementation="triton")
    wanted = attend(q, k, v, plan, log_weight_M=weight, implementation="reference")
    assert got.dtype == dtype
    assert_near(got, wanted, dtype)


@pytest.mark.parametrize("width", [64, 128])
def test_attention_at_served_head_widths(width):
    batch = Batch.random(make_fusions([(20, [33, 9])], EXPERTS), EXPERTS, torch.float32, 1, width)
    plan = batch.plan()
    args = (*batch.packed(plan), plan)
    assert_near(
        attend(*args, implementation="triton"),
        attend(*args, implementation="reference"),
        torch.float32,
    )


def test_attention_reads_keys_and_values_from_one_tensor():
    batch = Batch.random(make_fusions([(20, [33, 9])], EXPERTS), EXPERTS, torch.float32)
    plan = batch.plan(query_tile=16)
    q, k, v = batch.packed(plan)
    k2, v2 = torch.stack([k, v], 1).unbind(1)
    got = attend(q, k2, v2, plan, implementation="triton")
    assert_near(got, attend(q, k, v, plan, implementation="reference"), torch.float32)


def test_gradients_flow_through_the_kernels():
    batch = Batch.random(make_fusions([(20, [13, 9])], EXPERTS), EXPERTS, torch.float32)
    plan = batch.plan(query_tile=16)
    gradients = []
    for implementation in ("triton", "reference"):
        leaves = [x.clone().requires_grad_() for x in (*batch.packed(plan), batch.log_weight)]
        weight = plan.per_key(leaves[3])
        out = attend(*leaves[:3], plan, log_weight_M=weight, implementation=implementation)
        out.sin().sum().backward()
        gradients.append([x.grad for x in leaves])
    for got, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def near(got, wanted, dtype):
    relative, absolute = TOLERANCE[dtype]
    torch.testing.assert_close(got, wanted, rtol=relative, atol=8 * absolute)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("experts", [1, 4, 64])
def test_projection(experts, biased, dtype):
    plan = GroupingPlan.build(make_fusions([(50, [40]), (3, [0, 5])], experts), experts=experts)
    widths = [(17, 64, 1, 32)[e % 4] for e in range(experts)]  # 1 as nobody of a fusion
    hidden = [torch.randn(n, d).to(dtype) for n, d in zip(plan.memory.counts, widths, strict=True)]
    weights = [torch.randn(d, 40).to(dtype) / d**0.5 for d in widths]
    biases = [torch.randn(40).to(dtype) for _ in widths] if biased else None
    got, wanted = (
        project(hidden, weights, plan.memory, biases=biases, implementation=how)
        for how in ("triton", "reference")
    )
    near(got, wanted, dtype)


def test_aligned_experts_are_projected_beside_others():
    plan = GroupingPlan.build(make_fusions([(50, [40]), (3, [7, 5])], EXPERTS), experts=EXPERTS)
    widths = (16, 1, 64, 17)
    hidden = [torch.randn(n, d) for n, d in zip(plan.memory.counts, widths, strict=True)]
    weights = [torch.randn(d, 48) / d**0.5 for d in widths]
    got, wanted = (
        project(hidden, weights, plan.memory, implementation=how) for how in ("triton", "reference")
    )
    near(got, wanted, torch.float32)


@pytest.mark.parametrize("packed", [48, 40], ids=["aligned", "unaligned"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_back_projection(dtype, packed):
    plan = GroupingPlan.build(
        make_fusions([(50, [4]), (3, [5]), (36, [1])], EXPERTS), experts=EXPERTS
    )
    widths = (16, 64, 32, 48) if packed == 48 else (17, 64, 5, 32)
    hidden = [torch.randn(n, d).to(dtype) for n, d in zip(plan.queries.counts, widths, strict=True)]
    weights = [torch.randn(packed, d).to(dtype) / packed**0.5 for d in widths]
    fused = torch.randn(plan.queries.n_rows, packed).to(dtype)
    gates = torch.tensor([0.5, 0.0, -1.0, 2.0])
    got, wanted = (
        project_back(hidden, fused, weights, gates, plan.queries, implementation=how)
        for how in ("triton", "reference")
    )
    for a, b in zip(got, wanted, strict=True):
        near(a, b, dtype)
    assert torch.equal(got[1], hidden[1])


def test_no_tokens_at_all():
    plan = GroupingPlan.build(make_fusions([(0, []), (0, [0])], 2), experts=2)
    hidden = [torch.zeros(0, 8), torch.zeros(0, 5)]
    packed = project(
        hidden, [torch.zeros(8, 6), torch.zeros(5, 6)], plan.queries, implementation="triton"
    )
    assert packed.shape == (0, 6)


def test_a_table_filled_by_launches_equals_a_copied_one():
    x, y = torch.zeros(3, 4), torch.zeros(4, 5)
    packed = torch.zeros(2, 16)
    copied = expert_table([(x, y, None), (y, x, x)], [4, 5], [3, 4], packed)
    assert copied[:, 3:].tolist() == [[4, 0, 3, 0], [5, 3, 4, 0]]
    assert torch.equal(filled(copied.tolist(), packed.device), copied)


def test_double_precision_is_refused():
    batch = Batch.random(make_fusions([(2, [3])], EXPERTS), EXPERTS)
    plan = batch.plan()
    with pytest.raises(ValueError, match="sum in float32, got float64"):
        attend(*batch.packed(plan), plan, implementation="triton")
