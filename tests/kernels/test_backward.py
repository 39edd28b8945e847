"""Gradients of ragged cross-attention: those of finite differences, and of the reference."""

import pytest
import torch
from tests.kernels.latent_oracle import DTYPES, SHAPES, Batch, make_fusions

from motet.kernels import Fusion, Segment, attend

EXPERTS = 4
IMPLEMENTATIONS = ("reference", "cpu")


def test_gradcheck():
    batch = Batch.random(make_fusions([(5, [4, 3]), (2, []), (3, [6])], EXPERTS), EXPERTS, width=3)
    plan = batch.plan(query_tile=2)
    leaves = [x.requires_grad_() for x in (*batch.packed(plan), batch.log_weight)]
    for implementation in IMPLEMENTATIONS:
        assert torch.autograd.gradcheck(
            lambda q, k, v, w, how=implementation: attend(
                q, k, v, plan, log_weight_M=plan.per_key(w), scale=0.7, implementation=how
            ),
            leaves,
        )


@pytest.mark.parametrize("weighted", [True, False])
def test_gradients_equal_the_reference(weighted):
    batch = Batch.random(make_fusions(SHAPES["many tiles"], EXPERTS), EXPERTS, torch.float32)
    plan = batch.plan(query_tile=64)
    gradients = []
    for implementation in IMPLEMENTATIONS:
        leaves = [x.clone().requires_grad_() for x in (*batch.packed(plan), batch.log_weight)]
        weight = plan.per_key(leaves[3]) if weighted else None
        out = attend(*leaves[:3], plan, log_weight_M=weight, implementation=implementation)
        out.sin().sum().backward()
        gradients.append([x.grad for x in leaves[: 4 if weighted else 3]])
    for got, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_rows_that_see_nothing_are_zero_with_zero_gradients(implementation, dtype):
    late = torch.arange(50, 90)
    early = torch.arange(1, 101)
    fusions = [Fusion(Segment(0, early), [Segment(1, late)]), Fusion(Segment(1, early[:3]))]
    batch = Batch.random(fusions, 2, dtype)
    plan = batch.plan(query_tile=16)
    leaves = [x.clone().requires_grad_() for x in (*batch.packed(plan), batch.log_weight)]
    weight = plan.per_key(leaves[3])
    out = attend(*leaves[:3], plan, log_weight_M=weight, implementation=implementation)
    blind = plan.visible_Q == 0
    assert blind.sum() == 49 + 3
    assert not out[blind].any()
    (out.float() ** 2).sum().backward()
    assert not leaves[0].grad[blind].any()
    assert all(torch.isfinite(leaf.grad).all() for leaf in leaves)
