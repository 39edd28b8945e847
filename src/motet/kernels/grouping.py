"""The plan of one batch: which token goes where, decided once and reused by every level and layer.

A step serves B requests. Request b brings the tokens of its primary expert, which ask, and those
of its peers, which are asked. The plan is integers only and answers three questions:

- *Projection*: which packed row does each token of expert e write? (`Grouping`)
- *Visibility*: which keys may a query see? Inside a request the peers' tokens are merged in order
  of byte end, so the visible keys of any query are a prefix, and the mask is one count a query.
- *Work*: which tiles are worth computing, longest first?

Requests of similar shape lie side by side at equal distance (a bucket), so a bucket is a plain
strided view of the packed tensors: no kernel ever copies to pad.

Shape suffixes: B requests, P pairs of a request and one peer, E experts, N tokens of one role
(queries or memory), Q packed query rows, M packed memory rows, G buckets, W tiles of work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from motet.kernels.buckets import (
    Bucket,
    cut_tiles,
    first_rows,
    lay_out,
    make_buckets,
    table,
)
from motet.kernels.cpu_calls import CpuWork, cpu_work
from motet.kernels.masks import Masks
from motet.kernels.tokens import (
    Fusion,
    check_fusions,
    count_visible,
    flatten,
    sort_by,
    within,
)

SMALLEST_LOG_WEIGHT = -1e4
"""Log weights are raised to this: e^-10000 is 0 in every dtype, and infinities breed nan."""

QUERY_TILE = 128
"""Queries in one tile of work: 128 rows feed a Hopper warpgroup pair and a CPU core's L2 alike."""


@dataclass(frozen=True, eq=False)
class Grouping:
    """The tokens of one role sorted by expert, and the packed row each belongs to.

    "Token n" counts through requests in the order given, then through a request's segments, then
    through a segment. Grouped by expert, tokens keep that order (a stable sort).

    Attributes
    ----------
    order_N
        Grouped position to token, int64.
    inverse_N
        Token to grouped position, int64: `order_N[inverse_N[n]] == n`.
    rows_N
        Grouped position to packed row, int64.
    counts
        Tokens of each expert, as host integers: the slices of grouped tensors.
    n_rows
        Packed rows, padding included.
    """

    order_N: Tensor
    inverse_N: Tensor
    rows_N: Tensor
    counts: tuple[int, ...]
    n_rows: int

    @classmethod
    def build(cls, expert_N: Tensor, row_N: Tensor, *, experts: int, n_rows: int) -> Grouping:
        """Group tokens by `expert_N`; token n belongs in packed row `row_N[n]`."""
        order_N = torch.argsort(expert_N, stable=True)
        inverse_N = torch.empty_like(order_N)
        inverse_N[order_N] = torch.arange(len(order_N))
        counts = torch.bincount(expert_N, minlength=experts)
        return cls(order_N, inverse_N, row_N[order_N], tuple(counts.tolist()), n_rows)

    def to(self, device: torch.device | str) -> Grouping:
        """Return the same grouping with its tensors on `device`."""
        return replace(
            self,
            order_N=self.order_N.to(device),
            inverse_N=self.inverse_N.to(device),
            rows_N=self.rows_N.to(device),
        )

    def split(self, grouped: Tensor) -> tuple[Tensor, ...]:
        """Cut a tensor in grouped order [N, ...] into one view an expert [N_e, ...]."""
        views: tuple[Tensor, ...] = grouped.split(self.counts)
        return views


class PlanTensors(NamedTuple):
    """The part of a plan that attention kernels read, as `GroupingPlan` describes it."""

    visible_Q: Tensor
    key_start_Q: Tensor
    blind_Z: Tensor
    work_W4: Tensor
    buckets_G5: Tensor
    tiles_W5: Tensor
    query_tile: int


@dataclass(frozen=True, eq=False)
class GroupingPlan:
    """Where every token of a batch goes and which keys every query sees.

    Attributes
    ----------
    queries, memory
        The two roles' tokens by expert and their packed rows.
    visible_Q
        How many memory rows, from the first of its request, a query row sees; int32. Zero for a
        row that sees nothing, padding included.
    key_start_Q
        First memory row of the query row's request; int32.
    blind_Z
        The query rows that see nothing, padding included; int64.
    pair_M
        The (request, peer) pair of a memory row, numbered as the peers were given; int32.
        Padding rows say 0; no query sees them.
    work_W4
        One row a tile, longest first: first query row, query rows, first memory row, memory rows
        that any of them sees; int32. Padded with zero rows to a length that depends on shapes
        alone, so that a captured CUDA graph can be replayed with another batch.
    buckets_G5
        One row a bucket, on the host: requests, first query row, query rows a request, first
        memory row, memory rows a request; int64.
    tiles_W5
        One row a tile of a bucket, on the host: bucket, first and last (exclusive) query of a
        request, and the fewest (of those that see any) and most keys that a query sees; int64.
    query_tile
        Queries in a tile.
    primaries
        The primary expert of each request.
    query_lengths, memory_lengths
        Tokens of each request.
    buckets
        The buckets, with the requests in packed order.
    pairs
        The number of (request, peer) pairs.
    """

    queries: Grouping
    memory: Grouping
    visible_Q: Tensor
    key_start_Q: Tensor
    blind_Z: Tensor
    pair_M: Tensor
    work_W4: Tensor
    buckets_G5: Tensor
    tiles_W5: Tensor
    query_tile: int
    primaries: tuple[int, ...]
    query_lengths: tuple[int, ...]
    memory_lengths: tuple[int, ...]
    buckets: tuple[Bucket, ...]
    pairs: int

    @classmethod
    def build(
        cls,
        fusions: Sequence[Fusion],
        *,
        experts: int,
        query_tile: int = QUERY_TILE,
        device: torch.device | str = "cpu",
    ) -> GroupingPlan:
        """Plan one batch.

        Parameters
        ----------
        fusions
            One a request. A request may have no peers, and a segment no tokens.
        experts
            How many experts there are; segments name them by index.
        query_tile
            Queries in a tile of work; a power of two.
        device
            Where the kernels will run. The plan itself is made on the host.

        Raises
        ------
        ValueError
            There is no request, an expert is not in [0, experts), byte ends are not a vector of
            integers of zero or more, or `query_tile` is not a power of two.
        """
        if query_tile < 1 or query_tile & (query_tile - 1):
            raise ValueError(f"query_tile must be a power of two, got {query_tile}")
        check_fusions(fusions, experts)
        memory_lengths = [sum(len(peer.ends) for peer in fusion.peers) for fusion in fusions]
        buckets = make_buckets([len(fusion.primary.ends) for fusion in fusions], memory_lengths)
        memory, request_N, ends_N = _lay_memory(fusions, experts, buckets, memory_lengths)
        request_Nq, _, ends_Nq = flatten([fusion.primary for fusion in fusions])
        plan = _with_queries(
            memory,
            count_visible(request_N, ends_N, request_Nq, ends_Nq, memory_lengths),
            [fusion.primary.expert for fusion in fusions],
            [len(fusion.primary.ends) for fusion in fusions],
            query_tile,
        )
        return plan.to(device)

    def decode(self) -> GroupingPlan:
        """Return the plan of one new query a request against the same memory, all of it visible.

        The primary's next token comes after the whole prompt, so it sees every memory row; the
        memory (hence keys, values and `pair_M`) stays where this plan put it.
        """
        memory = _Memory(
            self.memory,
            self.pair_M,
            # Only the queries shrink: a bucket's memory rows stay as far apart as they lie.
            lay_out([replace(bucket, queries=1) for bucket in self.buckets]),
            self.memory_lengths,
            self.pairs,
        )
        visible_B = torch.tensor(self.memory_lengths, dtype=torch.int64)
        queries = [1] * len(self.primaries)
        plan = _with_queries(memory, visible_B, self.primaries, queries, self.query_tile)
        return plan.to(self.visible_Q.device)

    def to(self, device: torch.device | str) -> GroupingPlan:
        """Return the same plan with the tensors that kernels read on `device`."""
        return replace(
            self,
            queries=self.queries.to(device),
            memory=self.memory.to(device),
            visible_Q=self.visible_Q.to(device),
            key_start_Q=self.key_start_Q.to(device),
            blind_Z=self.blind_Z.to(device),
            pair_M=self.pair_M.to(device),
            work_W4=self.work_W4.to(device),
        )

    @property
    def tensors(self) -> PlanTensors:
        """What attention kernels read."""
        return PlanTensors(
            self.visible_Q,
            self.key_start_Q,
            self.blind_Z,
            self.work_W4,
            self.buckets_G5,
            self.tiles_W5,
            self.query_tile,
        )

    @cached_property
    def cpu_work(self) -> list[CpuWork]:
        """The buckets, their tiles and the calls that cover them, as host integers."""
        return cpu_work(self.buckets_G5, self.tiles_W5)

    @cached_property
    def masks(self) -> Masks:
        """What a CPU adds to the scores of the tiles, kept from level to level."""
        return Masks()

    def per_key(self, log_weight_P: Tensor) -> Tensor:
        """Return the log weight of every memory row's peer [M], in fp32 or better.

        It is the same for every level of a step, and for every step of a decode.

        Parameters
        ----------
        log_weight_P
            Log of the weight of each (request, peer) pair, in the order the peers were given; the
            gradient flows through it.

        Raises
        ------
        ValueError
            There is not one weight a pair.
        """
        if log_weight_P.shape != (self.pairs,):
            raise ValueError(
                f"log_weight has shape {tuple(log_weight_P.shape)}, but the plan has {self.pairs} "
                "pairs of a request and a peer"
            )
        wide = torch.promote_types(log_weight_P.dtype, torch.float32)
        floored_P = torch.clamp_min(log_weight_P.to(wide), SMALLEST_LOG_WEIGHT)
        return floored_P.index_select(0, self.pair_M) if self.pairs else floored_P

    @property
    def longest_query(self) -> int:
        """The most queries of one request."""
        return max(self.query_lengths)

    @property
    def longest_memory(self) -> int:
        """The most memory rows of one request."""
        return max(self.memory_lengths)

    def rows_of(self, request: int) -> tuple[slice, slice]:
        """Return the packed query rows and memory rows of one request, without padding."""
        query_start_B, memory_start_B = self._first_rows
        q, m = int(query_start_B[request]), int(memory_start_B[request])
        return (
            slice(q, q + self.query_lengths[request]),
            slice(m, m + self.memory_lengths[request]),
        )

    @cached_property
    def _first_rows(self) -> tuple[Tensor, Tensor]:
        return first_rows(self.buckets)


class _Memory(NamedTuple):
    """A batch's memory, laid out; fields as in `GroupingPlan`."""

    grouping: Grouping
    pair_M: Tensor
    buckets: Sequence[Bucket]
    lengths: Sequence[int]
    pairs: int


def _lay_memory(
    fusions: Sequence[Fusion],
    experts: int,
    buckets: Sequence[Bucket],
    lengths: Sequence[int],
) -> tuple[_Memory, Tensor, Tensor]:
    """Lay out the peers' tokens; return, in packed order, each one's request and byte end too."""
    _, start_B = first_rows(buckets)
    n_rows = sum(bucket.n * bucket.memory for bucket in buckets)
    request_P = [b for b, fusion in enumerate(fusions) for _ in fusion.peers]
    pair_N, expert_N, ends_N = flatten([peer for fusion in fusions for peer in fusion.peers])
    request_N = torch.tensor(request_P, dtype=torch.int64)[pair_N]
    # By byte end, so that what a query sees is a prefix, and a count says it: a mask of queries by
    # keys would be the largest tensor here. Ties go to the lower expert, so that the order in
    # which the peers are given changes nothing.
    order_N = sort_by(request_N, ends_N, expert_N)
    row_N = torch.empty_like(order_N)
    row_N[order_N] = start_B[request_N[order_N]] + within(lengths)
    pair_M = torch.zeros(n_rows, dtype=torch.int32)
    pair_M[row_N] = pair_N.int()
    grouping = Grouping.build(expert_N, row_N, experts=experts, n_rows=n_rows)
    memory = _Memory(grouping, pair_M, buckets, lengths, len(request_P))
    return memory, request_N[order_N], ends_N[order_N]


def _with_queries(
    memory: _Memory,
    visible_N: Tensor,
    primaries: Sequence[int],
    query_lengths: Sequence[int],
    query_tile: int,
) -> GroupingPlan:
    """Plan the queries of a batch whose memory is laid out."""
    buckets = memory.buckets
    query_start_B, memory_start_B = first_rows(buckets)
    lengths_B = torch.tensor(query_lengths)
    request_N = torch.repeat_interleave(torch.arange(len(lengths_B)), lengths_B)
    row_N = query_start_B[request_N] + within(query_lengths)
    n_rows = sum(bucket.n * bucket.queries for bucket in buckets)
    # Padding rows keep 0, which is what a row that sees nothing says: kernels need no other mark.
    visible_Q = torch.zeros(n_rows, dtype=torch.int32)
    visible_Q[row_N] = visible_N.int()
    key_start_Q = torch.zeros(n_rows, dtype=torch.int32)
    key_start_Q[row_N] = memory_start_B[request_N].int()
    work_W4, tiles_W5 = cut_tiles(visible_Q, buckets, query_lengths, query_tile)
    primary_N, experts = torch.tensor(primaries)[request_N], len(memory.grouping.counts)
    return GroupingPlan(
        queries=Grouping.build(primary_N, row_N, experts=experts, n_rows=n_rows),
        memory=memory.grouping,
        visible_Q=visible_Q,
        key_start_Q=key_start_Q,
        blind_Z=(visible_Q == 0).nonzero().flatten(),
        pair_M=memory.pair_M,
        work_W4=work_W4,
        buckets_G5=table([bucket.row() for bucket in buckets], 5),
        tiles_W5=tiles_W5,
        query_tile=query_tile,
        primaries=tuple(primaries),
        query_lengths=tuple(query_lengths),
        memory_lengths=tuple(memory.lengths),
        buckets=tuple(buckets),
        pairs=memory.pairs,
    )
