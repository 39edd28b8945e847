"""Grouped projection on a GPU: one launch for experts of any widths, through a pointer table."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from motet.kernels.triton.shared import COLUMNS, expert_table, find_expert, must_widen, product
from motet.kernels.triton.tuning import tuned


def project_triton(
    hidden: list[Tensor], weights: list[Tensor], biases: list[Tensor], rows_N: Tensor, n_rows: int
) -> Tensor:
    """Project on the GPU; arguments as `motet.kernels.projection.project`."""
    hidden = [h.contiguous() for h in hidden]
    weights = [w.contiguous() for w in weights]
    counts = [len(h) for h in hidden]
    packed_width = weights[0].shape[1]
    packed_RX = torch.zeros(n_rows, packed_width, dtype=hidden[0].dtype, device=hidden[0].device)
    if not sum(counts):
        return packed_RX
    table = expert_table(
        [
            (h, w, biases[e] if biases else None)
            for e, (h, w) in enumerate(zip(hidden, weights, strict=True))
        ],
        [w.shape[0] for w in weights],
        counts,
        packed_RX.device,
    )

    def grid(config: dict[str, Any]) -> tuple[int, int]:
        tiles = sum(counts) // config["BLOCK_N"] + len(counts)
        return tiles, triton.cdiv(packed_width, config["BLOCK_X"])

    _project_kernel[grid](
        table,
        rows_N,
        packed_RX,
        packed_width,
        EXPERTS=len(counts),
        COLUMNS=COLUMNS,
        WIDEN=must_widen(hidden[0]),
        HAS_BIAS=bool(biases),
    )
    return packed_RX


@tuned("projection", key=("packed_width", "EXPERTS"), operand="packed")
@triton.jit
def _project_kernel(
    table,
    rows,
    packed,
    packed_width,
    EXPERTS: tl.constexpr,
    COLUMNS: tl.constexpr,
    WIDEN: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_X: tl.constexpr,
    BLOCK_F: tl.constexpr,
):
    expert, within = find_expert(table, tl.program_id(0), EXPERTS, COLUMNS, BLOCK_N)
    if expert < 0:
        return
    entry = table + expert * COLUMNS
    hidden = tl.load(entry).to(tl.pointer_type(packed.dtype.element_ty))
    weight = tl.load(entry + 1).to(tl.pointer_type(packed.dtype.element_ty))
    width = tl.load(entry + 3)
    first = tl.load(entry + 4)
    count = tl.load(entry + 5)
    n = within * BLOCK_N + tl.arange(0, BLOCK_N).to(tl.int64)
    x = tl.program_id(1) * BLOCK_X + tl.arange(0, BLOCK_X)
    acc_NX = tl.zeros([BLOCK_N, BLOCK_X], tl.float32)
    for start in range(0, width, BLOCK_F):
        f = start + tl.arange(0, BLOCK_F)
        h_NF = tl.load(
            hidden + n[:, None] * width + f[None, :],
            mask=(n[:, None] < count) & (f[None, :] < width),
            other=0.0,
        )
        w_FX = tl.load(
            weight + f[:, None] * packed_width + x[None, :],
            mask=(f[:, None] < width) & (x[None, :] < packed_width),
            other=0.0,
        )
        acc_NX += product(h_NF, w_FX, WIDEN)
    if HAS_BIAS:
        bias = tl.load(entry + 2).to(tl.pointer_type(packed.dtype.element_ty))
        acc_NX += tl.load(bias + x, mask=x < packed_width, other=0.0).to(tl.float32)[None, :]
    row_N = tl.load(rows + first + n, mask=n < count, other=0)
    tl.store(
        packed + row_N[:, None] * packed_width + x[None, :],
        acc_NX.to(packed.dtype.element_ty),
        mask=(n[:, None] < count) & (x[None, :] < packed_width),
    )
