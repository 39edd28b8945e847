"""Grouped projection on a GPU: one launch for experts of any widths, through a pointer table."""

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
    must_widen,
    rows_product,
)
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
        packed_RX,
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
    if tl.load(entry + 6) != 0:
        _project_tile(
            entry,
            rows,
            packed,
            packed_width,
            within,
            True,
            WIDEN,
            HAS_BIAS,
            BLOCK_N,
            BLOCK_X,
            BLOCK_F,
        )
    else:
        _project_tile(
            entry, rows, packed, packed_width, within, False, WIDEN, HAS_BIAS, BLOCK_N, BLOCK_X, 16
        )


@triton.jit
def _project_tile(
    entry,
    rows,
    packed,
    packed_width,
    within,
    ALIGNED: tl.constexpr,
    WIDEN: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_X: tl.constexpr,
    BLOCK_F: tl.constexpr,
):
    number = tl.pointer_type(packed.dtype.element_ty)
    hidden = tl.load(entry).to(number)
    weight = tl.load(entry + 1).to(number)
    width = tl.load(entry + 3).to(tl.int32)
    if ALIGNED:  # said here: said in a function, it does not reach the compiler
        hidden = tl.multiple_of(hidden, 16)
        weight = tl.multiple_of(weight, 16)
        width = tl.multiple_of(width, 16)
    first = tl.load(entry + 4)
    count = tl.load(entry + 5)
    n = within * BLOCK_N + tl.arange(0, BLOCK_N).to(tl.int64)
    x = tl.program_id(1) * BLOCK_X + tl.arange(0, BLOCK_X)
    real_N = n < count
    acc_NX = rows_product(
        hidden, n, real_N, width, weight, x, packed_width, ALIGNED, WIDEN, BLOCK_F
    )
    if HAS_BIAS:
        bias = tl.load(entry + 2).to(number)
        acc_NX += tl.load(bias + x, mask=x < packed_width, other=0.0).to(tl.float32)[None, :]
    row_N = tl.load(rows + first + n, mask=real_N, other=0)
    tl.store(
        packed + row_N[:, None] * packed_width + x[None, :],
        acc_NX.to(packed.dtype.element_ty),
        mask=real_N[:, None] & (x[None, :] < packed_width),
    )
