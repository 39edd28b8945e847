"""Requests of similar shape side by side: the buckets of a plan, and their tiles of work.

A bucket of n requests holds n * queries query rows and n * memory memory rows, each request at the
same distance from the last, so that one attention call serves the bucket through a strided view.
Padding costs arithmetic and a separate call costs time of its own; a request joins a bucket only
where padding is the cheaper of the two. Large requests therefore stand alone, unpadded, while
equal requests of any size share a bucket for free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor

MAX_PADDING = 0.25
"""Padding memory rows a bucket may hold, as a share of its real ones."""

CALL_CELLS = 600
"""What one more attention call costs, in query-key cells: about 25 us of dispatch at 40 ns a cell
(12 heads of 64, fp32, two cores). Only its order of magnitude matters."""

ROW_CELLS = 8
"""What reading one memory row costs, in the same unit; all that matters when one query asks."""

Tile = tuple[int, int, int, int]
"""First and last (exclusive) query of a request, and the fewest and most keys that one sees."""

BucketWork = tuple[list[int], list[Tile]]
"""A bucket, as a row of `GroupingPlan.buckets_G5`, and its tiles."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Requests in packed order and the rows each of them is given."""

    requests: tuple[int, ...]
    queries: int
    memory: int
    query_start: int = 0
    memory_start: int = 0

    @property
    def n(self) -> int:
        """Requests in the bucket."""
        return len(self.requests)

    @property
    def cells(self) -> int:
        """Cost of the bucket's attention, padding included, in query-key cells."""
        return self.n * self.memory * (self.queries + ROW_CELLS)

    def row(self) -> list[int]:
        """Return the bucket as a row of `GroupingPlan.buckets_G5`."""
        return [self.n, self.query_start, self.queries, self.memory_start, self.memory]


def make_buckets(query_lengths: Sequence[int], memory_lengths: Sequence[int]) -> list[Bucket]:
    """Put requests into buckets, longest first, and lay the buckets end to end.

    Returns
    -------
    list of Bucket
        Every request is in exactly one. A bucket's memory padding is at most `MAX_PADDING`.
    """
    order = sorted(
        range(len(query_lengths)), key=lambda b: (query_lengths[b], memory_lengths[b]), reverse=True
    )
    buckets: list[Bucket] = []
    real_memory = 0
    for b in order:
        alone = Bucket((b,), query_lengths[b], memory_lengths[b])
        if buckets:
            last = buckets[-1]
            joined = Bucket((*last.requests, b), last.queries, max(last.memory, memory_lengths[b]))
            real_joined = real_memory + memory_lengths[b]
            if (
                joined.cells - last.cells - alone.cells < CALL_CELLS
                and joined.n * joined.memory <= (1 + MAX_PADDING) * real_joined
            ):
                buckets[-1], real_memory = joined, real_joined
                continue
        buckets.append(alone)
        real_memory = memory_lengths[b]
    return lay_out(buckets)


def lay_out(buckets: Sequence[Bucket]) -> list[Bucket]:
    """Give every bucket its first query row and first memory row."""
    placed, query_start, memory_start = [], 0, 0
    for bucket in buckets:
        placed.append(replace(bucket, query_start=query_start, memory_start=memory_start))
        query_start += bucket.n * bucket.queries
        memory_start += bucket.n * bucket.memory
    return placed


def first_rows(buckets: Sequence[Bucket]) -> tuple[Tensor, Tensor]:
    """Return the first query row and the first memory row of every request, int64 [B] each."""
    n_requests = sum(bucket.n for bucket in buckets)
    query_start_B = torch.zeros(n_requests, dtype=torch.int64)
    memory_start_B = torch.zeros(n_requests, dtype=torch.int64)
    for bucket in buckets:
        for i, b in enumerate(bucket.requests):
            query_start_B[b] = bucket.query_start + i * bucket.queries
            memory_start_B[b] = bucket.memory_start + i * bucket.memory
    return query_start_B, memory_start_B


def cut_tiles(
    visible_Q: Tensor, buckets: Sequence[Bucket], query_lengths: Sequence[int], query_tile: int
) -> tuple[Tensor, Tensor]:
    """Cut queries into tiles and drop the tiles whose queries see nothing.

    Parameters
    ----------
    visible_Q
        Visible memory rows of every packed query row.
    query_tile
        Queries in a tile.

    Returns
    -------
    work_W4, tiles_W5
        As `motet.kernels.grouping.GroupingPlan` describes them.
    """
    work: list[list[int]] = []
    tiles: list[list[int]] = []
    for g, bucket in enumerate(buckets):
        fewest_nW, most_nW = _extremes(visible_Q, bucket, query_tile)
        for tile, (few, most) in enumerate(
            zip(fewest_nW.amin(0).tolist(), most_nW.amax(0).tolist(), strict=True)
        ):
            if most:
                last = min((tile + 1) * query_tile, bucket.queries)
                tiles.append([g, tile * query_tile, last, few, most])
        for i, (b, most_W) in enumerate(zip(bucket.requests, most_nW.tolist(), strict=True)):
            for tile, most in enumerate(most_W):
                first = tile * query_tile
                count = min(query_tile, query_lengths[b] - first)
                if most and count > 0:
                    row = bucket.query_start + i * bucket.queries + first
                    work.append([row, count, bucket.memory_start + i * bucket.memory, most])
    work.sort(key=lambda item: item[1] * item[3], reverse=True)
    worst = len(visible_Q) // query_tile + sum(bucket.n for bucket in buckets)
    work.extend([[0, 0, 0, 0]] * (worst - len(work)))
    return table(work, 4).int(), table(tiles, 5)


def host_work(buckets_G5: Tensor, tiles_W5: Tensor) -> list[BucketWork]:
    """Return every bucket in which some query sees some key, with its tiles."""
    buckets = buckets_G5.tolist()
    return [
        (buckets[g], [(first, last, few, most) for _, first, last, few, most in rows])
        for g, rows in groupby(tiles_W5.tolist(), key=lambda row: row[0])
    ]


def table(rows: Sequence[Sequence[int]], columns: int) -> Tensor:
    """Return `rows` as an int64 tensor that keeps its columns when there is no row."""
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, columns)


def _extremes(visible_Q: Tensor, bucket: Bucket, query_tile: int) -> tuple[Tensor, Tensor]:
    """Return the fewest (of those above zero) and most visible keys a request and tile [n, W]."""
    n_tiles = -(-bucket.queries // query_tile)
    padded = visible_Q.new_zeros(bucket.n, n_tiles * query_tile)
    stop = bucket.query_start + bucket.n * bucket.queries
    padded[:, : bucket.queries] = visible_Q[bucket.query_start : stop].view(bucket.n, -1)
    per_tile = padded.view(bucket.n, n_tiles, query_tile)
    unseeing = torch.where(per_tile == 0, bucket.memory, per_tile)
    return unseeing.amin(-1), per_tile.amax(-1)
