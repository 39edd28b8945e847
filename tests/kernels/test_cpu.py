"""Both ways in which a CPU attends in bf16 are right, whichever it would choose here."""

import math

import pytest
import torch
from tests.kernels.latent_oracle import SHAPES, Batch, assert_near, make_fusions

from motet.kernels.cpu import attend_cpu
from motet.kernels.cpu_calls import CpuInputs

EXPERTS = 4


@pytest.mark.parametrize("in_products", [False, True])
@pytest.mark.parametrize(
    "shape", [*SHAPES.values(), [(200, [150, 90])], [(900, [700, 650])]], ids=str
)
def test_both_ways_of_the_cpu_equal_the_oracle_in_bf16(shape, in_products):
    batch = Batch.random(make_fusions(shape, EXPERTS), EXPERTS, torch.bfloat16, 4, 64)
    plan = batch.plan()
    inputs = CpuInputs(
        *batch.packed(plan), plan.per_key(batch.log_weight), plan.visible_Q, 1 / math.sqrt(64)
    )
    packed = attend_cpu(inputs, plan.blind_Z, plan.cpu_work, plan.masks, products=in_products)
    out = batch.per_request(packed, plan)
    for got, wanted in zip(out, batch.oracle(), strict=True):
        assert_near(got, wanted, torch.bfloat16)
