"""What the kernels share: the table of experts, the search in it, and the matrix product."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton import knobs

COLUMNS = 7
"""Three addresses, the expert's hidden size, its first grouped token, its tokens, and whether its
rows may be read sixteen bytes at a time."""

ALIGNMENT = 16
"""Of addresses in bytes, and of widths in numbers: what Triton itself asks of arguments before it
reads several numbers at once. What comes from a table it does not know, and would read one by one,
which no asynchronous copy can do: products then wait for memory."""


def expert_table(
    addresses: Sequence[tuple[Tensor, Tensor, Tensor | None]],
    widths: Sequence[int],
    counts: Sequence[int],
    packed: Tensor,
) -> Tensor:
    """Return one row an expert, int64 [E, COLUMNS]: all a program needs to know of it.

    The table goes where the packed rows [R, X] are. Its copy comes from pinned memory, and the
    host waits for nothing.
    """
    rows, first, device = [], 0, packed.device
    for tensors, width, count in zip(addresses, widths, counts, strict=True):
        places = [0 if x is None else x.data_ptr() for x in tensors]
        rows.append([*places, width, first, count, int(is_aligned(width, packed, tensors))])
        first += count
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        return filled(rows, device)
    table = torch.tensor(rows, dtype=torch.int64, pin_memory=device.type == "cuda")
    return table.to(device, non_blocking=True)


def is_aligned(width: int, packed: Tensor, tensors: Sequence[Tensor | None]) -> bool:
    """Whether everything of an expert begins, and goes on, at multiples of `ALIGNMENT`."""
    places = [x.data_ptr() for x in (packed, *tensors) if x is not None]
    return all(number % ALIGNMENT == 0 for number in (width, packed.shape[1], *places))


def filled(rows: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Return `rows` as a tensor whose numbers travel as arguments of launches.

    A captured CUDA graph keeps those, while a captured copy would read host memory that is gone
    when the graph is replayed.
    """
    table = torch.empty(len(rows), COLUMNS, dtype=torch.int64, device=device)
    for entries, row in zip(table, rows, strict=True):
        for entry, value in zip(entries, row, strict=True):
            entry.fill_(value)
    return table


@triton.jit
def find_expert(table, tile, EXPERTS: tl.constexpr, COLUMNS: tl.constexpr, BLOCK_N: tl.constexpr):
    """Return the expert whose tokens tile number `tile` holds, and the tile's number there.

    The expert is -1 for a tile beyond the real work, of which a worst-case grid has up to E.
    """
    expert = -1
    within = 0
    passed = 0
    for e in range(EXPERTS):
        tiles = tl.cdiv(tl.load(table + e * COLUMNS + 5), BLOCK_N).to(tl.int32)
        here = (tile >= passed) & (tile < passed + tiles)
        expert = tl.where(here, e, expert)
        within = tl.where(here, tile - passed, within)
        passed += tiles
    return expert, within


def must_widen(x: Tensor) -> bool:
    """Whether products of `x` need fp32 operands: Triton's interpreter holds bf16 as integers."""
    return bool(knobs.runtime.interpret) and x.dtype is torch.bfloat16


@triton.jit
def rows_product(
    a,
    row_N,
    real_N,
    inner,
    w,
    x,
    outer,
    ALIGNED: tl.constexpr,
    WIDEN: tl.constexpr,
    BLOCK_F: tl.constexpr,
):
    """Return rows `row_N` of a [., inner] times columns `x` of w [inner, outer], in fp32.

    Only what is aligned is fetched ahead: the other branch would claim as much shared memory again.
    """
    acc_NX = tl.zeros([row_N.shape[0], x.shape[0]], tl.float32)
    for start in tl.range(0, inner, BLOCK_F, num_stages=None if ALIGNED else 1):
        f = start + tl.arange(0, BLOCK_F)
        a_NF = tl.load(
            a + row_N[:, None] * inner + f[None, :],
            mask=real_N[:, None] & (f[None, :] < inner),
            other=0.0,
        )
        w_FX = tl.load(
            w + f[:, None] * outer + x[None, :],
            mask=(f[:, None] < inner) & (x[None, :] < outer),
            other=0.0,
        )
        acc_NX += product(a_NF, w_FX, WIDEN)
    return acc_NX


@triton.jit
def product(a, b, WIDEN: tl.constexpr):
    """Return a @ b in fp32, without rounding fp32 operands to TF32."""
    if WIDEN:
        a = a.to(tl.float32)
        b = b.to(tl.float32)
    return tl.dot(a, b, input_precision="ieee")
