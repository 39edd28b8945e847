"""Attention in bf16 matrix products: what it takes on, it writes; what it refuses, it leaves."""

import math

import pytest
import torch
from tests.kernels.latent_oracle import Batch, assert_near, make_fusions

from motet.kernels.cpu_calls import CpuInputs
from motet.kernels.cpu_products import LONG_QUERY, SHORT_QUERY, attend_bucket_in_products
from motet.kernels.masks import Masks


def attended(shape):
    batch = Batch.random(make_fusions(shape, 2), 2, torch.bfloat16, 2, 64)
    plan = batch.plan()
    (bucket, tiles, _), *others = plan.cpu_work
    assert not others
    inputs = CpuInputs(
        *batch.packed(plan), plan.per_key(batch.log_weight), plan.visible_Q, 1 / math.sqrt(64)
    )
    out = torch.full_like(inputs.q_QHD, torch.nan)
    written = attend_bucket_in_products(inputs, bucket, tiles, Masks(), out)
    out[plan.blind_Z] = 0
    return written, batch.per_request(out, plan), batch.oracle()


@pytest.mark.parametrize(
    "shape",
    [
        [(1, [70, 30])],
        [(LONG_QUERY, [40])],
        [(SHORT_QUERY, [300, 100])] * 2,
        [(SHORT_QUERY + 1, [300, 100])] * 2,
    ],
    ids=["one query", "the shortest", "plain", "in tiles"],
)
def test_what_it_takes_on_equals_the_oracle(shape):
    written, got, wanted = attended(shape)
    assert written
    for one, other in zip(got, wanted, strict=True):
        assert_near(one, other, torch.bfloat16)


def test_a_few_queries_are_left_to_the_fused_kernel():
    written, (got,), _ = attended([(LONG_QUERY - 1, [40])])
    assert not written
    assert (got.isnan() | (got == 0)).all()
