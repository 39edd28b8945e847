"""What a step costs, counted from its plan: padding, skipped tiles, bytes, operations, roofline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from motet.kernels.grouping import GroupingPlan


@dataclass(frozen=True, slots=True)
class Cost:
    """Floating-point operations and bytes to or from memory of one part of a step."""

    flops: int
    bytes: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.bytes + other.bytes)

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.flops / self.bytes if self.bytes else 0.0

    def seconds(self, *, flops_per_second: float, bytes_per_second: float) -> float:
        """Return the roofline's bound: the slower of computing and moving."""
        return max(self.flops / flops_per_second, self.bytes / bytes_per_second)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of one step at one level.

    Attributes
    ----------
    padding_waste
        Packed memory rows that hold no token, as a share of those that do.
    tiles, tiles_skipped
        Square tiles of `query_tile` queries by as many keys, over all requests, and how many of
        them no query can see, so that no kernel reads them.
    visible_cells, computed_cells, dense_cells
        Query-key pairs a head: that a query sees, that the work list computes, and that a padded
        rectangle over the whole batch would compute.
    projection, attention, back_projection
        Operations and bytes, every input and output moved once.
    """

    padding_waste: float
    tiles: int
    tiles_skipped: int
    visible_cells: int
    computed_cells: int
    dense_cells: int
    projection: Cost
    attention: Cost
    back_projection: Cost


def measure(
    plan: GroupingPlan, *, widths: Sequence[int], heads: int, head_width: int, itemsize: int = 2
) -> Statistics:
    """Count what one level of a step costs.

    Parameters
    ----------
    widths
        Hidden size d_e of each expert.
    itemsize
        Bytes of one number; 2 for bf16.

    Raises
    ------
    ValueError
        `widths` does not name a size for each expert.
    """
    if len(widths) != len(plan.queries.counts):
        raise ValueError(f"got {len(widths)} widths for {len(plan.queries.counts)} experts")
    shared = heads * head_width
    work = plan.work_W4.tolist()
    computed = sum(count * most for _, count, _, most in work)
    side = plan.query_tile
    per_request = zip(plan.query_lengths, plan.memory_lengths, strict=True)
    tiles = sum(-(-q // side) * -(-m // side) for q, m in per_request)
    needed = sum(-(-most // side) for _, count, _, most in work if count)
    queries, memory = sum(plan.query_lengths), sum(plan.memory_lengths)
    return Statistics(
        padding_waste=(plan.memory.n_rows - memory) / memory if memory else 0.0,
        tiles=tiles,
        tiles_skipped=tiles - needed,
        visible_cells=int(plan.visible_Q.sum()),
        computed_cells=computed,
        dense_cells=len(plan.query_lengths) * plan.longest_query * plan.longest_memory,
        projection=_products(plan.queries.counts, widths, shared, itemsize)
        + _products(plan.memory.counts, widths, 2 * shared, itemsize),
        attention=Cost(
            flops=4 * shared * computed,
            bytes=itemsize * shared * 2 * (queries + memory) + 4 * (queries + memory),
        ),
        back_projection=_products(plan.queries.counts, widths, shared, itemsize, added=True),
    )


def _products(
    counts: Sequence[int], widths: Sequence[int], shared: int, itemsize: int, added: bool = False
) -> Cost:
    """Cost of one product an expert that has tokens; `added` reads what it is added to as well."""
    used = [(n, d) for n, d in zip(counts, widths, strict=True) if n]
    moved = sum(n * d * (2 if added else 1) + d * shared + n * shared for n, d in used)
    return Cost(flops=sum(2 * n * d * shared for n, d in used), bytes=itemsize * moved)
