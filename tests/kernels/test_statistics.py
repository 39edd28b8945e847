"""What a step costs, as its plan has it and as counted by hand."""

import pytest
import torch
from tests.kernels.latent_oracle import SHAPES, make_fusions

from motet.kernels import Fusion, GroupingPlan, Segment, measure
from motet.kernels.buckets import MAX_PADDING

EXPERTS = 5


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_statistics_count_what_the_plan_does(shape):
    plan = GroupingPlan.build(make_fusions(shape, EXPERTS), experts=EXPERTS, query_tile=16)
    counted = measure(plan, widths=[32, 48, 7, 64, 16], heads=2, head_width=8)
    assert counted.visible_cells == int(plan.visible_Q.sum())
    assert counted.visible_cells <= counted.computed_cells <= counted.dense_cells
    assert 0 <= counted.tiles_skipped <= counted.tiles
    assert counted.attention.flops == 4 * 16 * counted.computed_cells
    assert 0 <= counted.padding_waste <= MAX_PADDING
    bound = counted.projection.seconds(flops_per_second=1e15, bytes_per_second=3e12)
    assert bound >= counted.projection.flops / 1e15


def test_statistics_of_a_case_counted_by_hand():
    ends = torch.arange(1, 33)
    plan = GroupingPlan.build(
        [Fusion(Segment(0, ends), [Segment(1, ends)])], experts=2, query_tile=16
    )
    counted = measure(plan, widths=[10, 20], heads=1, head_width=8, itemsize=2)
    assert (counted.tiles, counted.tiles_skipped) == (4, 1)
    assert counted.visible_cells == 32 * 33 // 2
    assert counted.computed_cells == 16 * 16 + 16 * 32
    assert counted.projection.flops == 2 * 32 * 10 * 8 + 2 * 32 * 20 * 16
    assert counted.projection.bytes == 2 * (
        (32 * 10 + 10 * 8 + 32 * 8) + (32 * 20 + 20 * 16 + 32 * 16)
    )


def test_statistics_want_a_width_for_each_expert():
    plan = GroupingPlan.build(make_fusions([(3, [3])], EXPERTS), experts=EXPERTS)
    with pytest.raises(ValueError, match="got 2 widths for 5 experts"):
        measure(plan, widths=[1, 2], heads=1, head_width=8)
