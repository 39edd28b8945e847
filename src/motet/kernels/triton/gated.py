"""Grouped back-projection with the gated add in its epilogue, one launch for all primaries."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from motet.kernels.triton.shared import (
    COLUMNS,
    expert_table,
    find_expert,
    is_aligned,
    must_widen,
    rows_product,
)
from motet.kernels.triton.tuning import tuned


def project_back_triton(
    hidden: list[Tensor], fused_QX: Tensor, weights: list[Tensor], gates_E: Tensor, rows_N: Tensor
) -> list[Tensor]:
    """Project back on the GPU; arguments as `motet.kernels.gated.project_back`."""
    hidden = [h.contiguous() for h in hidden]
    weights = [w.contiguous() for w in weights]
    out = [torch.empty_like(h) for h in hidden]
    counts = [len(h) for h in hidden]
    if not sum(counts):
        return out
    widths = [h.shape[1] for h in hidden]
    fused_QX = fused_QX.contiguous()
    table = expert_table(list(zip(hidden, weights, out, strict=True)), widths, counts, fused_QX)

    def grid(config: dict[str, Any]) -> tuple[int, int]:
        tiles = sum(counts) // config["BLOCK_N"] + len(counts)
        return tiles, triton.cdiv(max(widths), config["BLOCK_X"])

    _project_back_kernel[grid](
        table,
        rows_N,
        fused_QX,
        torch.tanh(gates_E.float()),
        fused_QX.shape[1],
        EXPERTS=len(counts),
        COLUMNS=COLUMNS,
        WIDEN=must_widen(hidden[0]),
        # Of all at once: the other way needs so many registers that this one would spill too.
        ALIGNED=all(
            is_aligned(width, fused_QX, tensors)
            for count, width, *tensors in zip(counts, widths, hidden, weights, out, strict=True)
            if count
        ),
    )
    return out


@tuned("back_projection", key=("fused_width", "EXPERTS"), operand="fused")
@triton.jit
def _project_back_kernel(
    table,
    rows,
    fused,
    opened,
    fused_width,
    EXPERTS: tl.constexpr,
    COLUMNS: tl.constexpr,
    WIDEN: tl.constexpr,
    ALIGNED: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_X: tl.constexpr,
    BLOCK_F: tl.constexpr,
):
    expert, within = find_expert(table, tl.program_id(0), EXPERTS, COLUMNS, BLOCK_N)
    if expert < 0:
        return
    entry = table + expert * COLUMNS
    number = tl.pointer_type(fused.dtype.element_ty)
    width = tl.load(entry + 3).to(tl.int32)
    # Within a tile 32 bits count far enough; of all tokens they would not.
    skipped = within.to(tl.int64) * BLOCK_N * width
    hidden = tl.load(entry).to(number) + skipped
    weight = tl.load(entry + 1).to(number)
    out = tl.load(entry + 2).to(number) + skipped
    if ALIGNED:  # said here: said in a function, it does not reach the compiler
        hidden = tl.multiple_of(hidden, 16)
        weight = tl.multiple_of(weight, 16)
        out = tl.multiple_of(out, 16)
        width = tl.multiple_of(width, 16)
    first = tl.load(entry + 4)
    count = tl.load(entry + 5)
    n = tl.arange(0, BLOCK_N)
    x = tl.program_id(1) * BLOCK_X + tl.arange(0, BLOCK_X)
    real_N = within * BLOCK_N + n < count
    row_N = tl.load(rows + first + within * BLOCK_N + n, mask=real_N, other=0)
    gate = tl.load(opened + expert)
    acc_NX = rows_product(
        fused, row_N, real_N, fused_width, weight, x, width, ALIGNED, WIDEN, BLOCK_F
    )
    real_NX = real_N[:, None] & (x[None, :] < width)
    h_NX = tl.load(hidden + n[:, None] * width + x[None, :], mask=real_NX, other=0.0)
    sum_NX = (h_NX.to(tl.float32) + gate * acc_NX).to(fused.dtype.element_ty)
    # A closed gate is the identity bit for bit, whatever the product holds.
    tl.store(
        out + n[:, None] * width + x[None, :], tl.where(gate == 0.0, h_NX, sum_NX), mask=real_NX
    )
