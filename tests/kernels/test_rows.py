"""Packed rows: of the shape asked for, and kept apart where a cache would mix them up."""

import pytest
import torch

from motet.kernels import new_rows


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("kilobytes", [1, 6])
def test_rows_of_whole_kilobytes_lie_a_line_apart(dtype, kilobytes):
    like = torch.zeros(1, dtype=dtype)
    width = kilobytes * 1024 // like.element_size()
    rows = new_rows(like, 5, width)
    assert rows.shape == (5, width) and rows.dtype == dtype
    assert rows.stride(0) * like.element_size() == kilobytes * 1024 + 64
    assert new_rows(like, 5, width - 1).is_contiguous()
