"""Additive masks of tiles on a CPU: made once, then read by every level and decode step of a plan.

What hides a key and what weighs it belong to the batch, not to the level, so the masks of a plan
are kept with it, up to a bound on memory; beyond it they are made for every call.

Shape suffixes: Q packed query rows, M packed memory rows, n requests of a bucket, T queries of a
tile, K keys that a tile sees.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from motet.kernels.buckets import Tile

KEPT_CELLS = 2**25
"""Query-key cells that a plan keeps masks of: 64 MiB in bf16. Every head shares a mask."""


class Masks:
    """The masks of one plan, for the weights that it was last asked with.

    Parameters
    ----------
    most
        Query-key cells to keep at most.

    Attributes
    ----------
    cells
        Query-key cells that are kept now.
    """

    def __init__(self, most: int = KEPT_CELLS) -> None:
        self.cells = 0
        self._most = most
        self._bias_M: Tensor | None = None
        self._version = 0
        self._kept: dict[tuple[int, int, torch.dtype], Tensor | None] = {}

    def of(
        self,
        bucket: Sequence[int],
        tile: Tile,
        bias_M: Tensor | None,
        visible_Q: Tensor,
        dtype: torch.dtype,
    ) -> Tensor | None:
        """Return what to add to the scores of a tile [n, 1, T or 1, K]; None for nothing.

        Parameters
        ----------
        bucket, tile
            As the plan's work lists them.
        bias_M
            Log weight of every memory row; None weighs all alike.
        visible_Q
            Visible memory rows of every query row.
        dtype
            Of the queries.
        """
        version = _version(bias_M)
        if bias_M is not self._bias_M or version != self._version:
            self._bias_M, self._version, self.cells = bias_M, version, 0
            self._kept.clear()
        key = bucket[1] + tile[0], tile[1], dtype  # one tile of a plan starts at that row
        if key in self._kept:
            return self._kept[key]
        mask = make_mask(bucket, tile, bias_M, visible_Q, dtype)
        cells = 0 if mask is None else mask.numel()
        if self.cells + cells <= self._most:
            self._kept[key] = mask
            self.cells += cells
        return mask


def make_mask(
    bucket: Sequence[int],
    tile: Tile,
    bias_M: Tensor | None,
    visible_Q: Tensor,
    dtype: torch.dtype,
) -> Tensor | None:
    """Return the mask of a tile; arguments as `Masks.of`."""
    n, q0, queries, m0, memory = bucket
    first, last, few, most = tile
    # bf16 rounds the peers' log weights as it rounds q and k; fp16 would lose the smallest.
    dtype = torch.float32 if dtype is torch.float16 else dtype
    bias_n1K = None
    if bias_M is not None:
        bias_n1K = by_request(bias_M, m0, n, memory, most).to(dtype)[:, None]
    if few == most:  # every query sees every key
        return None if bias_n1K is None else bias_n1K[:, None]
    # Every row is a window on one step down to -inf: copying it takes a third of comparing.
    step = torch.zeros(2 * most, dtype=dtype)
    step[most:] = -torch.inf
    visible_nT = by_request(visible_Q, q0 + first, n, queries, last - first)
    rows = step.unfold(0, most, 1).index_select(0, most - visible_nT.flatten())
    mask_nTK = rows.view(*visible_nT.shape, most)
    return (mask_nTK if bias_n1K is None else mask_nTK.add_(bias_n1K))[:, None]


def by_request(x_R: Tensor, first: int, n: int, distance: int, length: int) -> Tensor:
    """Return `length` entries of n requests, `distance` apart from `first`, as [n, length]."""
    (step,) = x_R.stride()
    return x_R.as_strided((n, length), (distance * step, step), x_R.storage_offset() + first * step)


def _version(x: Tensor | None) -> int:
    """Return how often `x` was written to, which inference tensors do not count."""
    return 0 if x is None or x.is_inference() else x._version
