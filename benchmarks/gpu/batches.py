"""Batches of latent fusion on a device: one level's products, and attention with its contenders."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from benchmarks._latent_contenders import HEADS, SHARED, WIDTH, make_batch
from benchmarks.gpu.scale import Scale
from torch import Tensor

from motet.kernels import Fusion, GroupingPlan, attend, measure, project, project_back


@cache
def planned(scale: Scale, requests: int, experts: int, seed: int) -> tuple[list[Fusion], Any]:
    """Return requests of the scale's lengths, and their plan on the host."""
    generator = torch.Generator().manual_seed(seed)
    lengths = scale.shortest, scale.longest
    fusions = make_batch(requests, experts, "ragged", generator, lengths)
    return fusions, GroupingPlan.build(fusions, experts=experts)


class LatentBatch:
    """Packed queries, keys and values of a batch, and every contender's way to attend."""

    def __init__(
        self,
        scale: Scale,
        requests: int,
        experts: int,
        dtype: torch.dtype,
        decode: bool,
        seed: int,
        width: int = WIDTH,
    ) -> None:
        _, plan = planned(scale, requests, experts, seed)
        plan = plan.decode() if decode else plan
        self.rows = [plan.rows_of(b) for b in range(requests)]
        self.plan: GroupingPlan = plan.to(scale.device)
        self.heads, self.width = SHARED // width, width
        generator = torch.Generator(scale.device).manual_seed(seed)
        options: dict[str, Any] = {"generator": generator, "device": scale.device, "dtype": dtype}
        self.q = torch.randn(plan.queries.n_rows, self.heads, width, **options)
        self.kv = torch.randn(plan.memory.n_rows, 2, self.heads, width, **options)
        weight = torch.rand(plan.pairs, generator=generator, device=scale.device)
        self.bias_M = self.plan.per_key(weight.add(0.1).log())

    def ours(self) -> Callable[[], Tensor]:
        """Return the plan's way."""
        k, v = self.kv.unbind(1)
        return lambda: attend(
            self.q, k, v, self.plan, log_weight_M=self.bias_M, implementation="triton"
        )

    def _mask(self, b: int) -> Tensor:
        """Return the additive mask of one request [T, K]."""
        asking, asked = self.rows[b]
        keys = torch.arange(asked.stop - asked.start, device=self.q.device)
        seen = keys < self.plan.visible_Q[asking, None]
        return torch.where(seen, self.bias_M[asked], -torch.inf).to(self.q.dtype)

    def loop(self) -> Callable[[], Tensor]:
        """Return the requests one by one, their masks made beforehand."""
        masks = [self._mask(b)[None, None] for b in range(len(self.rows))]
        k, v = self.kv.unbind(1)
        out = torch.empty_like(self.q)

        def run() -> Tensor:
            for (asking, asked), mask in zip(self.rows, masks, strict=True):
                q, keys, values = (
                    x[rows].transpose(0, 1)[None]
                    for x, rows in ((self.q, asking), (k, asked), (v, asked))
                )
                one = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
                out[asking] = one[0].transpose(0, 1)
            return out

        return run

    def padded_bytes(self) -> int:
        """Return what the padded form holds: inputs, mask and output."""
        n, t, m = len(self.rows), self.plan.longest_query, self.plan.longest_memory
        numbers = n * (t * m + 2 * (t + m) * self.heads * self.width)
        return numbers * self.q.element_size()

    def padded(self) -> Callable[[], Tensor]:
        """Return one call over the batch; padding its inputs, and their mask, is not timed."""
        n, t, m = len(self.rows), self.plan.longest_query, self.plan.longest_memory
        # A mask whose rows begin at multiples of 16 bytes is not copied at every call.
        mask = self.q.new_full((n, 1, t, -(-m // 8) * 8), -torch.inf)[..., :m]
        q = self.q.new_zeros(n, self.heads, t, self.width)
        k, v = self.q.new_zeros(2, n, self.heads, m, self.width)
        for b, (asking, asked) in enumerate(self.rows):
            queries, keys = asking.stop - asking.start, asked.stop - asked.start
            q[b, :, :queries] = self.q[asking].transpose(0, 1)
            k[b, :, :keys] = self.kv[asked, 0].transpose(0, 1)
            v[b, :, :keys] = self.kv[asked, 1].transpose(0, 1)
            mask[b, 0, :queries, :keys] = self._mask(b)
        return lambda: F.scaled_dot_product_attention(q, k, v, attn_mask=mask)

    def flex(self, compiled: bool) -> Callable[[], Tensor]:
        """Return FlexAttention over all packed rows as one sequence, with a block mask."""
        from benchmarks.gpu.blocks import block_mask
        from torch.nn.attention.flex_attention import flex_attention

        mask = block_mask(self.plan, len(self.kv))
        torch.compiler.reset()  # each batch is compiled for its own lengths
        attention = torch.compile(flex_attention, dynamic=False) if compiled else flex_attention
        q, k, v = (x.transpose(0, 1).contiguous()[None] for x in (self.q, *self.kv.unbind(1)))
        bias = self.bias_M.to(self.q.dtype)
        return lambda: attention(
            q, k, v, score_mod=lambda s, b, h, i, j: s + bias[j], block_mask=mask
        )


class Level:
    """Hidden states and weights of one level, to project and to project back."""

    def __init__(
        self, scale: Scale, requests: int, experts: int, dtype: torch.dtype, seed: int
    ) -> None:
        self.fusions, plan = planned(scale, requests, experts, seed)
        self.plan: GroupingPlan = plan.to(scale.device)
        self.widths = scale.widths[:experts]
        generator = torch.Generator(scale.device).manual_seed(seed)

        def normal(rows: int, columns: int) -> Tensor:
            return torch.randn(rows, columns, generator=generator, device=scale.device, dtype=dtype)

        self._asked = [normal(n, d) for n, d in zip(plan.memory.counts, self.widths, strict=True)]
        self._asking = [normal(n, d) for n, d in zip(plan.queries.counts, self.widths, strict=True)]
        self._query = [normal(d, SHARED) for d in self.widths]
        self._memory = [normal(d, 2 * SHARED) for d in self.widths]
        self._back = [normal(SHARED, d) for d in self.widths]
        self._fused = normal(plan.queries.n_rows, SHARED)
        self._gates = torch.rand(experts, generator=generator, device=scale.device)

    def project(self) -> tuple[Tensor, Tensor]:
        """Return packed queries, and packed keys and values."""
        return (
            project(self._asking, self._query, self.plan.queries, implementation="triton"),
            project(self._asked, self._memory, self.plan.memory, implementation="triton"),
        )

    def project_back(self) -> list[Tensor]:
        """Return the new states of every expert."""
        return project_back(
            self._asking,
            self._fused,
            self._back,
            self._gates,
            self.plan.queries,
            implementation="triton",
        )

    def project_loop(self) -> list[Tensor]:
        """Return one library product a segment of a request: the same arithmetic, not packed."""
        products, starts = [], [0] * len(self.widths)
        asked = list(starts)
        for fusion in self.fusions:
            for segment in (fusion.primary, *fusion.peers):
                asks = segment is fusion.primary
                at = starts if asks else asked
                states, weights = (
                    (self._asking, self._query) if asks else (self._asked, self._memory)
                )
                e, n = segment.expert, len(segment.ends)
                products.append(states[e][at[e] : at[e] + n] @ weights[e])
                at[e] += n
        return products

    def project_back_loop(self) -> list[Tensor]:
        """Return one library product and one gated add an expert, its rows gathered."""
        parts = self.plan.queries.split(self._fused[self.plan.queries.rows_N])
        return [
            torch.addcmul(h, part @ w, torch.tanh(gate).to(h.dtype))
            for h, part, w, gate in zip(self._asking, parts, self._back, self._gates, strict=True)
        ]


def costs(scale: Scale, plan: GroupingPlan, experts: int, itemsize: int) -> Any:
    """Return operations and bytes of one level, from its plan on the host."""
    return measure(
        plan.to("cpu"),
        widths=scale.widths[:experts],
        heads=HEADS,
        head_width=WIDTH,
        itemsize=itemsize,
    )
