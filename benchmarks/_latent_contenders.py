"""Batches of the latent attention benchmark, and each contender's way to serve them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from motet.kernels import Fusion, GroupingPlan, Segment, attend, new_rows, project

HEADS, WIDTH = 12, 64
SHARED = HEADS * WIDTH
SHORTEST, LONGEST = 16, 2048
EXPERT_WIDTHS = (1024, 2048, 512, 4096, 768, 1536, 3072, 896)
PEERS = 3


def make_batch(
    requests: int,
    experts: int,
    mix: str,
    generator: torch.Generator,
    lengths: tuple[int, int] = (SHORTEST, LONGEST),
) -> list[Fusion]:
    """Draw requests: `ragged`, log-uniform between `lengths`, or `equal:T` tokens everywhere.

    Experts split a request's text into tokens of their own, up to a fifth more or fewer.
    """

    def segment(expert: int, length: int, text: int) -> Segment:
        ends = torch.randint(1, text + 1, (length,), generator=generator)
        return Segment(expert, ends.sort().values)

    fusions = []
    for b in range(requests):
        if mix == "ragged":
            u = torch.rand(1 + PEERS, generator=generator).tolist()
            shortest, longest = lengths
            length = round(shortest * (longest / shortest) ** u[0])
            of_peers = [max(1, round(length * (0.8 + 0.4 * x))) for x in u[1:]]
        else:
            length = int(mix.removeprefix("equal:"))
            of_peers = [length] * PEERS
        text = 4 * length
        peers = [(b + i) % experts for i in range(1, min(PEERS, experts - 1) + 1)]
        fusions.append(
            Fusion(
                segment(b % experts, length, text),
                [segment(e, n, text) for e, n in zip(peers, of_peers, strict=False)],
            )
        )
    return fusions


def heads_first(x: Tensor) -> Tensor:
    """Swap the tokens and the heads, as `scaled_dot_product_attention` wants them."""
    return x.transpose(-2, -3)


class Attention:
    """One batch ready for every contender."""

    def __init__(
        self, fusions: list[Fusion], experts: int, dtype: torch.dtype, decode: bool, seed: int
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        plan = GroupingPlan.build(fusions, experts=experts)
        self.plan = plan.decode() if decode else plan
        self.q = torch.randn(self.plan.queries.n_rows, HEADS, WIDTH, generator=generator).to(dtype)
        kv = torch.randn(self.plan.memory.n_rows, 2 * SHARED, generator=generator).to(dtype)
        # Where `project` would have written them.
        self.kv = new_rows(kv, *kv.shape).copy_(kv).view(-1, 2, HEADS, WIDTH)
        self.log_weight = torch.rand(plan.pairs, generator=generator).add(0.1).log()
        self.rows = [self.plan.rows_of(b) for b in range(len(fusions))]

    def mask(self, b: int) -> Tensor:
        """Return the additive mask of one request [T, K]."""
        asking, asked = self.rows[b]
        seen = torch.arange(asked.stop - asked.start) < self.plan.visible_Q[asking, None]
        bias = self.log_weight[self.plan.pair_M[asked].long()]
        return torch.where(seen, bias, -torch.inf).to(self.q.dtype)

    def ours(self) -> Callable[[], Tensor]:
        """Return the plan's way."""
        k, v = self.kv.unbind(1)
        weight = self.plan.per_key(self.log_weight)
        return lambda: attend(self.q, k, v, self.plan, log_weight_M=weight)

    def fused_loop(self) -> Callable[[], Tensor]:
        """Return the loop over requests with fused attention."""
        masks = [self.mask(b)[None, None] for b in range(len(self.rows))]
        k, v = self.kv.unbind(1)

        def run() -> Tensor:
            out = torch.empty_like(self.q)
            for (asking, asked), mask in zip(self.rows, masks, strict=True):
                one = F.scaled_dot_product_attention(
                    heads_first(self.q[asking])[None],
                    heads_first(k[asked])[None],
                    heads_first(v[asked])[None],
                    attn_mask=mask,
                )
                out[asking] = heads_first(one[0])
            return out

        return run

    def plain_loop(self) -> Callable[[], Tensor]:
        """Return the loop over requests with two plain products around a softmax."""
        masks = [self.mask(b) for b in range(len(self.rows))]
        k, v = self.kv.unbind(1)

        def run() -> Tensor:
            out = torch.empty_like(self.q)
            for (asking, asked), mask in zip(self.rows, masks, strict=True):
                queries = heads_first(self.q[asking]) * WIDTH**-0.5
                scores = queries @ heads_first(k[asked]).transpose(1, 2)
                out[asking] = heads_first(scores.add_(mask).softmax(-1) @ heads_first(v[asked]))
            return out

        return run

    def padded(self) -> Callable[[], Tensor]:
        """Return the padded form; padding its inputs is not timed."""
        n, t, m = len(self.rows), self.plan.longest_query, self.plan.longest_memory
        q = self.q.new_zeros(n, t, HEADS, WIDTH)
        k, v = self.q.new_zeros(2, n, m, HEADS, WIDTH)
        mask = self.q.new_full((n, 1, t, m), -torch.inf)
        for b, (asking, asked) in enumerate(self.rows):
            queries, keys = asking.stop - asking.start, asked.stop - asked.start
            q[b, :queries] = self.q[asking]
            k[b, :keys], v[b, :keys] = self.kv[asked].unbind(1)
            mask[b, 0, :queries, :keys] = self.mask(b)
        return lambda: F.scaled_dot_product_attention(
            heads_first(q), heads_first(k), heads_first(v), attn_mask=mask
        )

    def flex(self) -> Callable[[], Tensor]:
        """Return compiled FlexAttention over all packed rows as one sequence."""
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        start, seen = self.plan.key_start_Q.long(), self.plan.visible_Q.long()
        bias = self.log_weight[self.plan.pair_M.long()].to(self.q.dtype)
        block_mask = create_block_mask(
            lambda b, h, q, k: (k >= start[q]) & (k < start[q] + seen[q]),
            1,
            1,
            len(self.q),
            len(self.kv),
            device="cpu",
        )
        compiled = torch.compile(flex_attention, dynamic=False)
        # Its fast path wants dense rows.
        rows = (self.q, *self.kv.unbind(1))
        q, k, v = (heads_first(x.contiguous())[None] for x in rows)
        return lambda: compiled(
            q, k, v, score_mod=lambda s, b, h, i, j: s + bias[j], block_mask=block_mask
        )


class Projection:
    """The projections of one batch to packed queries, keys and values, ready for two contenders."""

    def __init__(self, fusions: list[Fusion], experts: int, dtype: torch.dtype, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.fusions, self.plan = fusions, GroupingPlan.build(fusions, experts=experts)
        widths = EXPERT_WIDTHS[:experts]

        def normal(rows: int, columns: int) -> Tensor:
            return torch.randn(rows, columns, generator=generator).to(dtype)

        self.asking = [normal(n, d) for n, d in zip(self.plan.queries.counts, widths, strict=True)]
        self.asked = [normal(n, d) for n, d in zip(self.plan.memory.counts, widths, strict=True)]
        self.query_weights = [normal(d, SHARED) for d in widths]
        self.memory_weights = [normal(d, 2 * SHARED) for d in widths]

    def ours(self) -> Callable[[], Any]:
        """Return one product an expert, written to the plan's rows."""
        return lambda: (
            project(self.asking, self.query_weights, self.plan.queries),
            project(self.asked, self.memory_weights, self.plan.memory),
        )

    def loop(self) -> Callable[[], Any]:
        """Return one product a segment, written straight to its place in the packed tensors."""
        taken = [0] * len(self.asked)
        asked_before = list(taken)
        steps: list[tuple[Tensor, Tensor, bool]] = []
        for fusion in self.fusions:
            for i, segment in enumerate((fusion.primary, *fusion.peers)):
                e, n = segment.expert, len(segment.ends)
                counts, source, weights = (
                    (taken, self.asking, self.query_weights)
                    if i == 0
                    else (asked_before, self.asked, self.memory_weights)
                )
                steps.append((source[e][counts[e] : counts[e] + n], weights[e], i == 0))
                counts[e] += n

        def run() -> tuple[Tensor, Tensor]:
            q = self.asking[0].new_empty(sum(taken), SHARED)
            kv = self.asking[0].new_empty(sum(asked_before), 2 * SHARED)
            at = {True: 0, False: 0}
            for hidden, weight, asking in steps:
                out = (q if asking else kv)[at[asking] : at[asking] + len(hidden)]
                torch.mm(hidden, weight, out=out)
                at[asking] += len(hidden)
            return q, kv

        return run
