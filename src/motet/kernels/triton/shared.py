"""What the kernels share: the table of experts, the search in it, and the matrix product."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton import knobs

COLUMNS = 6
"""Three addresses, the expert's hidden size, its first grouped token and its tokens."""


def expert_table(
    addresses: Sequence[tuple[Tensor, Tensor, Tensor | None]],
    widths: Sequence[int],
    counts: Sequence[int],
    device: torch.device,
) -> Tensor:
    """Return one row an expert, int64 [E, 6]: all a program needs to know of it.

    The copy to the device comes from pinned memory, and the host waits for nothing.
    """
    rows, first = [], 0
    for tensors, width, count in zip(addresses, widths, counts, strict=True):
        rows.append([*(0 if x is None else x.data_ptr() for x in tensors), width, first, count])
        first += count
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        return filled(rows, device)
    table = torch.tensor(rows, dtype=torch.int64, pin_memory=device.type == "cuda")
    return table.to(device, non_blocking=True)


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
def product(a, b, WIDEN: tl.constexpr):
    """Return a @ b in fp32, without rounding fp32 operands to TF32."""
    if WIDEN:
        a = a.to(tl.float32)
        b = b.to(tl.float32)
    return tl.dot(a, b, input_precision="ieee")
