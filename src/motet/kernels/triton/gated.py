"""Grouped back-projection with the gated add in its epilogue, one launch for all primaries."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from motet.kernels.triton.shared import COLUMNS, expert_table, find_expert, must_widen, product
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
    table = expert_table(
        list(zip(hidden, weights, out, strict=True)), widths, counts, fused_QX.device
    )

    def grid(config: dict[str, Any]) -> tuple[int, int]:
        tiles = sum(counts) // config["BLOCK_N"] + len(counts)
        return tiles, triton.cdiv(max(widths), config["BLOCK_X"])

    _project_back_kernel[grid](
        table,
        rows_N,
        fused_QX.contiguous(),
        torch.tanh(gates_E.float()),
        fused_QX.shape[1],
        EXPERTS=len(counts),
        COLUMNS=COLUMNS,
        WIDEN=must_widen(hidden[0]),
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
    BLOCK_N: tl.constexpr,
    BLOCK_X: tl.constexpr,
    BLOCK_F: tl.constexpr,
):
    expert, within = find_expert(table, tl.program_id(0), EXPERTS, COLUMNS, BLOCK_N)
    if expert < 0:
        return
    entry = table + expert * COLUMNS
    hidden = tl.load(entry).to(tl.pointer_type(fused.dtype.element_ty))
    weight = tl.load(entry + 1).to(tl.pointer_type(fused.dtype.element_ty))
    out = tl.load(entry + 2).to(tl.pointer_type(fused.dtype.element_ty))
    width = tl.load(entry + 3)
    first = tl.load(entry + 4)
    count = tl.load(entry + 5)
    gate = tl.load(opened + expert)
    n = within * BLOCK_N + tl.arange(0, BLOCK_N).to(tl.int64)
    x = tl.program_id(1) * BLOCK_X + tl.arange(0, BLOCK_X)
    real_NX = (n[:, None] < count) & (x[None, :] < width)
    row_N = tl.load(rows + first + n, mask=n < count, other=0)
    acc_NX = tl.zeros([BLOCK_N, BLOCK_X], tl.float32)
    for start in range(0, fused_width, BLOCK_F):
        f = start + tl.arange(0, BLOCK_F)
        fused_NF = tl.load(
            fused + row_N[:, None] * fused_width + f[None, :],
            mask=(n[:, None] < count) & (f[None, :] < fused_width),
            other=0.0,
        )
        w_FX = tl.load(
            weight + f[:, None] * width + x[None, :],
            mask=(f[:, None] < fused_width) & (x[None, :] < width),
            other=0.0,
        )
        acc_NX += product(fused_NF, w_FX, WIDEN)
    h_NX = tl.load(hidden + n[:, None] * width + x[None, :], mask=real_NX, other=0.0)
    sum_NX = (h_NX.to(tl.float32) + gate * acc_NX).to(fused.dtype.element_ty)
    # A closed gate is the identity bit for bit, whatever the product holds.
    tl.store(
        out + n[:, None] * width + x[None, :], tl.where(gate == 0.0, h_NX, sum_NX), mask=real_NX
    )
