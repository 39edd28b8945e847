"""Tile sizes to choose from, by kernel, and how the choice is made.

The tables are for Hopper: 228 KB of shared memory a multiprocessor, two to four stages of
asynchronous copies, four or eight warps (one or two warpgroups). On a GPU, Triton measures the
table once for each key; under its interpreter there is nothing to measure and the first entry,
which is small, is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import triton
from triton import knobs

MULTIPROCESSORS = 132
"""Of an H100 SXM: decode splits keys until there are about two programs for each."""

DECODE_KEYS = 64
"""Keys a decode program reads at a time; one split holds at least that many."""

PREFILL = [
    triton.Config({"BLOCK_K": 32}, num_warps=4, num_stages=2),
    triton.Config({"BLOCK_K": 64}, num_warps=4, num_stages=3),
    triton.Config({"BLOCK_K": 64}, num_warps=8, num_stages=3),
    triton.Config({"BLOCK_K": 128}, num_warps=8, num_stages=2),
    triton.Config({"BLOCK_K": 128}, num_warps=8, num_stages=3),
]

PRODUCT = [
    triton.Config({"BLOCK_N": 32, "BLOCK_X": 32, "BLOCK_F": 32}, num_warps=4, num_stages=2),
    triton.Config({"BLOCK_N": 64, "BLOCK_X": 128, "BLOCK_F": 64}, num_warps=4, num_stages=4),
    triton.Config({"BLOCK_N": 128, "BLOCK_X": 128, "BLOCK_F": 64}, num_warps=8, num_stages=3),
    triton.Config({"BLOCK_N": 128, "BLOCK_X": 256, "BLOCK_F": 64}, num_warps=8, num_stages=3),
]


def tuned(configs: Sequence[Any], key: Sequence[str]) -> Callable[[Any], Any]:
    """Return a decorator that picks one of `configs` for each value of the arguments in `key`."""
    interpreted = knobs.runtime.interpret
    tune: Callable[[Any], Any] = triton.autotune(
        configs=list(configs[:1] if interpreted else configs), key=list(key)
    )
    return tune
