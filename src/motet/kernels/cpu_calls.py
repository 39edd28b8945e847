"""The fused calls by which a CPU attends: tiles joined, and requests of a bucket side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from motet.kernels.buckets import Tile, host_work

FUSED_QUERIES = 256
"""Queries of a request in a call: tiles are joined up to this. Fewer skip more keys, but every call
packs its keys anew. Two cores of an Intel Xeon with AMX, 1,518 queries of 4,303 keys in bf16: tiles
of 128 take 43 ms, of 256 36, of 512 36, one call 49; in fp32 94, 76, 93 and 107."""

FUSED_KEYS = 1024
"""Keys of a call, as long as that is more than one request's: what a call packs should stay in
cache until it is read. On the same cores, 16 requests of 256 queries and 768 keys in bf16: 20.3 ms
one by one, 21.7 together; 64 of 16 and 48: 2.8 one by one, 1.7 in calls of 16 or of 64."""

Call = tuple[list[int], Tile]
"""A part of a bucket, as a row of `buckets_G5`, and the tile that is computed of it."""


class CpuInputs(NamedTuple):
    """What `motet.kernels.cross_attention.attend` is given, as a CPU reads it."""

    q_QHD: Tensor
    k_MHD: Tensor
    v_MHD: Tensor
    bias_M: Tensor | None
    visible_Q: Tensor
    scale: float


class CpuWork(NamedTuple):
    """A bucket, as a row of `GroupingPlan.buckets_G5`, its tiles, and the calls that cover them."""

    bucket: list[int]
    tiles: list[Tile]
    calls: list[Call]


def cpu_work(buckets_G5: Tensor, tiles_W5: Tensor) -> list[CpuWork]:
    """Return the work of a plan as host integers, for a CPU."""
    return [
        CpuWork(bucket, tiles, _calls(bucket, tiles))
        for bucket, tiles in host_work(buckets_G5, tiles_W5)
    ]


def _calls(bucket: Sequence[int], tiles: Sequence[Tile]) -> list[Call]:
    n, q0, queries, m0, memory = bucket
    calls: list[Call] = []
    for tile in _joined(tiles):
        # A query alone packs nothing, and is soon done.
        step = max(1, FUSED_KEYS // tile[3]) if queries > 1 else n
        calls.extend(
            ([min(step, n - i), q0 + i * queries, queries, m0 + i * memory, memory], tile)
            for i in range(0, n, step)
        )
    return calls


def _joined(tiles: Sequence[Tile]) -> list[Tile]:
    """Join neighbouring tiles up to `FUSED_QUERIES` queries."""
    joined = [tiles[0]]
    for first, last, few, most in tiles[1:]:
        start, stop, fewest, furthest = joined[-1]
        if first == stop and last - start <= FUSED_QUERIES:
            joined[-1] = start, last, min(fewest, few), max(furthest, most)
        else:
            joined.append((first, last, few, most))
    return joined
