"""The oracle, dense attention in fp64 from byte ends alone with no plan; and batches to test on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from motet.kernels import Fusion, Grouping, GroupingPlan, Segment

TOLERANCE = {
    torch.float64: (1e-10, 1e-10),
    torch.float32: (2e-5, 2e-5),
    torch.float16: (4e-3, 4e-3),
    torch.bfloat16: (3e-2, 3e-2),
}
"""(relative, absolute) by dtype. bf16 keeps 8 bits: inputs and scores each add about 2^-9."""

DTYPES = (torch.float64, torch.float32, torch.bfloat16)


def segment(expert: int, length: int, text: int, generator: torch.Generator) -> Segment:
    ends = torch.randint(1, text + 1, (length,), generator=generator)
    return Segment(expert, ends.sort().values)


def make_fusions(shape: Sequence[tuple[int, Sequence[int]]], experts: int, seed: int = 0):
    """One request a row of `shape`: query tokens, and the tokens of each peer."""
    generator = torch.Generator().manual_seed(seed)
    return [
        Fusion(
            segment(b % experts, queries, 4 * queries + 3, generator),
            [
                segment((b + 1 + i) % experts, n, 4 * queries + 3, generator)
                for i, n in enumerate(peers)
            ],
        )
        for b, (queries, peers) in enumerate(shape)
    ]


SHAPES = {
    "one token": [(1, [1])],
    "one query, long memory": [(1, [123, 70])],
    "odd": [(5, [123]), (123, [5, 7]), (17, [33, 1, 2])],
    "equal": [(16, [16, 16])] * 5,
    "many tiles": [(300, [170, 90]), (40, [200])],
    "no peers": [(7, []), (9, [4]), (3, [0])],
    "nothing asked": [(0, [5]), (4, [6])],
}


def pack(segments: Sequence[Tensor], grouping: Grouping) -> Tensor:
    """Put tokens, given segment by segment, into packed rows."""
    tokens = torch.cat([*segments, segments[0][:0]])
    packed = tokens.new_zeros(grouping.n_rows, *tokens.shape[1:])
    packed[grouping.rows_N] = tokens[grouping.order_N]
    return packed


@dataclass
class Batch:
    """Queries, keys and values of a batch, segment by segment as a caller would hold them."""

    fusions: list[Fusion]
    experts: int
    queries: list[Tensor]
    keys: list[Tensor]
    values: list[Tensor]
    log_weight: Tensor

    @classmethod
    def random(cls, fusions, experts, dtype=torch.float64, heads=2, width=8, seed=0):
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

        peers = [peer for fusion in fusions for peer in fusion.peers]
        return cls(
            list(fusions),
            experts,
            [normal(len(fusion.primary.ends), heads, width) for fusion in fusions],
            [normal(len(peer.ends), heads, width) for peer in peers],
            [normal(len(peer.ends), heads, width) for peer in peers],
            torch.randn(len(peers), generator=generator, dtype=torch.float64),
        )

    def plan(self, **options) -> GroupingPlan:
        return GroupingPlan.build(self.fusions, experts=self.experts, **options)

    def packed(self, plan: GroupingPlan) -> tuple[Tensor, Tensor, Tensor]:
        empty = self.queries[0][:0]
        return (
            pack(self.queries, plan.queries),
            pack([*self.keys, empty], plan.memory),
            pack([*self.values, empty], plan.memory),
        )

    def oracle(self) -> list[Tensor]:
        """Dense attention of each request in fp64."""
        outputs, first = [], 0
        for fusion, q in zip(self.fusions, self.queries, strict=True):
            last = first + len(fusion.peers)
            ends_K = torch.cat([p.ends for p in fusion.peers] + [torch.zeros(0, dtype=torch.int64)])
            k, v = (torch.cat([*x[first:last], q[:0]]).double() for x in (self.keys, self.values))
            lengths = torch.tensor([len(p.ends) for p in fusion.peers], dtype=torch.int64)
            bias_K = torch.repeat_interleave(self.log_weight[first:last].double(), lengths)
            scores = torch.einsum("thd,khd->htk", q.double(), k) / math.sqrt(q.shape[-1]) + bias_K
            seen_TK = ends_K[None, :] <= fusion.primary.ends[:, None]
            weights = torch.where(seen_TK, scores, -torch.inf).softmax(-1).nan_to_num(0.0)
            outputs.append(torch.einsum("htk,khd->thd", weights, v))
            first = last
        return outputs

    def per_request(self, out: Tensor, plan: GroupingPlan) -> list[Tensor]:
        """Cut a packed output into requests."""
        return [out[plan.rows_of(b)[0]] for b in range(len(self.fusions))]


def assert_near(got: Tensor, wanted: Tensor, dtype: torch.dtype) -> None:
    relative, absolute = TOLERANCE[dtype]
    torch.testing.assert_close(got.double(), wanted.double(), rtol=relative, atol=absolute)
