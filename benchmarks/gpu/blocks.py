"""FlexAttention's block mask, from a plan: a mask of all queries by all keys would fill the GPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from motet.kernels import GroupingPlan

BLOCK = 128
"""Queries, and keys, of one block: FlexAttention's own choice."""


def block_mask(plan: GroupingPlan, keys: int) -> Any:
    """Return which blocks of packed keys each block of packed queries sees, wholly or in part."""
    from torch.nn.attention.flex_attention import BlockMask

    start, end = plan.key_start_Q, plan.key_start_Q + plan.visible_Q
    whole_KB, part_KB = _seen(plan, keys)
    whole, part = _listed(whole_KB), _listed(part_KB)
    return BlockMask.from_kv_blocks(
        *part,
        *whole,
        BLOCK_SIZE=BLOCK,
        mask_mod=lambda b, h, q, k: (k >= start[q]) & (k < end[q]),
        seq_lengths=(len(start), keys),
        compute_q_blocks=False,  # only gradients read them
    )


def _seen(plan: GroupingPlan, keys: int) -> tuple[Tensor, Tensor]:
    """Return, by query block and key block, where all see all, and where some see some."""
    queries = len(plan.visible_Q)
    rows = -(-queries // BLOCK) * BLOCK

    def blocks(x: Tensor, fill: int) -> Tensor:
        padded = x.new_full((rows,), fill)
        padded[:queries] = x
        return padded.view(-1, BLOCK)

    start, end = plan.key_start_Q, plan.key_start_Q + plan.visible_Q
    sees = plan.visible_Q > 0
    first = torch.arange(0, keys, BLOCK, device=start.device)
    last = (first + BLOCK).clamp(max=keys)
    # Of requests in one query block the keys lie side by side: what all rows see together begins
    # at the first of them and ends at the last.
    some = (first < blocks(torch.where(sees, end, 0), 0).amax(1)[:, None]) & (
        last > blocks(torch.where(sees, start, keys), keys).amin(1)[:, None]
    )
    # Rows beyond the last query count as if they saw everything.
    whole = (first >= blocks(start, 0).amax(1)[:, None]) & (
        last <= blocks(end, keys).amin(1)[:, None]
    )
    return whole, some & ~whole


def _listed(blocks_KB: Tensor) -> tuple[Tensor, Tensor]:
    """Return how many blocks are set in each row, and their numbers before those that are not."""
    order = torch.argsort(blocks_KB.to(torch.int8), dim=1, descending=True, stable=True)
    return blocks_KB.sum(1).int()[None, None], order.int()[None, None]
