"""Masks live as long as a plan, and never longer than the weights that they were made of."""

import math

import hypothesis.strategies as st
import torch
from hypothesis import given
from tests.kernels.latent_oracle import Batch, assert_near, make_fusions

from motet.kernels import attend
from motet.kernels.cpu import attend_cpu
from motet.kernels.cpu_calls import CpuInputs
from motet.kernels.masks import Masks

EXPERTS = 4
SHAPE = [(300, [250, 180]), (20, [30, 9]), (20, [28, 9]), (7, [5]), (3, [])]


def made(shape=SHAPE, dtype=torch.float32):
    batch = Batch.random(make_fusions(shape, EXPERTS), EXPERTS, dtype)
    return batch, batch.plan(query_tile=64)


def attended(batch, plan, log_weight_M, **options):
    return attend(*batch.packed(plan), plan, log_weight_M=log_weight_M, **options)


def test_the_next_level_makes_none():
    batch, plan = made()
    weight = plan.per_key(batch.log_weight)
    first = attended(batch, plan, weight)
    kept = plan.masks.cells
    tiles = [call for work in plan.cpu_work for call in work.calls]
    masks = [plan.masks.of(*tile, weight, plan.visible_Q, torch.float32) for tile in tiles]
    assert kept and plan.masks.cells == kept
    assert torch.equal(attended(batch, plan, weight), first)
    for tile, mask in zip(tiles, masks, strict=True):
        assert plan.masks.of(*tile, weight, plan.visible_Q, torch.float32) is mask


def test_other_weights_are_heard():
    batch, plan = made()
    weight = plan.per_key(batch.log_weight)
    attended(batch, plan, weight)
    other = plan.per_key(batch.log_weight.flip(0) * 2)
    for now in (other, None, weight.mul_(0.5)):  # the last is the first tensor, written to
        wanted = attended(batch, plan, now, implementation="reference")
        assert_near(attended(batch, plan, now), wanted, torch.float32)


def test_one_plan_serves_two_dtypes():
    batch, plan = made()
    weight = plan.per_key(batch.log_weight)
    for dtype in (torch.float32, torch.float64, torch.float16):
        q, k, v = (x.to(dtype) for x in batch.packed(plan))
        out = attend(q, k, v, plan, log_weight_M=weight)
        wanted = attend(q, k, v, plan, log_weight_M=weight, implementation="reference")
        assert_near(out, wanted, dtype)


@given(kept=st.integers(0, 60_000))
def test_what_is_kept_is_bounded_and_changes_nothing(kept):
    batch, plan = made()
    weight = plan.per_key(batch.log_weight)
    wanted = attended(batch, plan, weight)
    q, k, v = batch.packed(plan)
    inputs = CpuInputs(q, k, v, weight, plan.visible_Q, 1 / math.sqrt(q.shape[2]))
    masks = Masks(kept)
    for _ in range(2):
        assert torch.equal(attend_cpu(inputs, plan.blind_Z, plan.cpu_work, masks), wanted)
        assert masks.cells <= kept


def test_inference_mode_keeps_them_too():
    with torch.inference_mode():
        batch, plan = made()
        weight = plan.per_key(batch.log_weight)
        first = attended(batch, plan, weight)
        assert torch.equal(attended(batch, plan, weight), first)
        assert plan.masks.cells
