"""The tokens of a batch, as requests bring them: where they are, in which order, what they see.

Shape suffixes: B requests, N tokens, M memory tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Segment:
    """The tokens that one expert reads for one request.

    Attributes
    ----------
    expert
        Index of the expert, from 0.
    ends
        Byte offset, in the text all experts share, of the end of each token: integers [T].
    """

    expert: int
    ends: Tensor


@dataclass(frozen=True, eq=False)
class Fusion:
    """What one request brings to the batch: the primary asks, the peers are asked."""

    primary: Segment
    peers: Sequence[Segment] = ()


def check_fusions(fusions: Sequence[Fusion], experts: int) -> None:
    """Raise ValueError unless there are requests, of these experts, with proper byte ends."""
    if not fusions:
        raise ValueError("a plan needs at least one request, got 0")
    for b, fusion in enumerate(fusions):
        for segment in (fusion.primary, *fusion.peers):
            if not 0 <= segment.expert < experts:
                raise ValueError(
                    f"request {b} names expert {segment.expert}, but there are {experts} experts"
                )
            ends = segment.ends
            if ends.ndim != 1 or ends.is_floating_point() or ends.dtype == torch.bool:
                raise ValueError(
                    f"request {b}, expert {segment.expert}: byte ends are a vector of integers, "
                    f"got {ends.dtype} of shape {tuple(ends.shape)}"
                )
            if len(ends) and int(ends.min()) < 0:
                raise ValueError(
                    f"request {b}, expert {segment.expert}: byte ends start at 0, "
                    f"got {int(ends.min())}"
                )


def flatten(segments: Sequence[Segment]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the segment, the expert and the byte end of every token, int64 [N] each."""
    lengths = torch.tensor([len(segment.ends) for segment in segments], dtype=torch.int64)
    experts = torch.tensor([segment.expert for segment in segments], dtype=torch.int64)
    segment_N = torch.repeat_interleave(torch.arange(len(segments)), lengths)
    ends = [segment.ends.to("cpu", torch.int64) for segment in segments]
    ends_N = torch.cat(ends) if ends else torch.zeros(0, dtype=torch.int64)
    return segment_N, experts[segment_N], ends_N


def within(lengths: Sequence[int]) -> Tensor:
    """Return the position of every token in its request, int64 [N]."""
    lengths_B = torch.tensor(lengths, dtype=torch.int64)
    starts_B = lengths_B.cumsum(0) - lengths_B
    return torch.arange(int(lengths_B.sum())) - torch.repeat_interleave(starts_B, lengths_B)


def sort_by(*keys_N: Tensor) -> Tensor:
    """Return the stable order of tokens by the first key, then the second, and so on."""
    order_N = torch.arange(len(keys_N[0]))
    for key_N in reversed(keys_N):
        order_N = order_N[torch.argsort(key_N[order_N], stable=True)]
    return order_N


def count_visible(
    request_M: Tensor, ends_M: Tensor, request_N: Tensor, ends_N: Tensor, lengths: Sequence[int]
) -> Tensor:
    """Count, for every query token, the keys of its request that end no later than it does.

    Keys come sorted by request, then by end, so one search over both answers for all queries.
    """
    lengths_B = torch.tensor(lengths, dtype=torch.int64)
    starts_B = lengths_B.cumsum(0) - lengths_B
    stride = int(torch.cat([ends_M, ends_N]).max()) + 1 if len(ends_M) + len(ends_N) else 1
    found_N = torch.searchsorted(
        request_M * stride + ends_M, request_N * stride + ends_N, right=True
    )
    return found_N - starts_B[request_N]
