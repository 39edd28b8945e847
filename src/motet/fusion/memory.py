"""What peers have read, as keys and values at each level, and the pass of a primary that asks them.

A memory is fixed once its peers have read: decoding never runs a peer. Inside a request the rows of
all peers are merged in order of byte end (see docs/kernels.md), which depends on that request
alone, so the memories of several requests pack into one batch by copying.

Shape suffixes: B rows, T tokens, N real tokens of a batch, F a member's hidden size, M memory rows
of one request, H heads, D head width, P peers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from motet.fusion.layers import NOBODY_WIDTH, FusionLayers, Interaction
from motet.fusion.text import Reading
from motet.kernels import Fusion, GroupingPlan, Segment, new_rows


@dataclass(frozen=True, eq=False)
class Latents:
    """What one peer has read.

    Attributes
    ----------
    ends
        Byte end of each token, a draft's at the end of the text: int64 [T].
    hidden
        States [T, F] after each stack.
    """

    ends: Tensor
    hidden: Sequence[Tensor]

    @classmethod
    def of(cls, reading: Reading, hidden: Sequence[Tensor], drafted: int = 0) -> Latents:
        """Return the latents of a reading whose last `drafted` states are a draft's."""
        return cls(torch.cat([reading.ends, reading.ends[-1:].expand(drafted)]), hidden)


@dataclass(frozen=True, eq=False)
class LatentMemory:
    """What the peers of one request know: keys and values of every level.

    Attributes
    ----------
    segments
        Each peer and the byte ends of its tokens; behind them nobody, at the start of the text.
    levels
        Keys and values [M, H, D] of each level, the peers merged by byte end.
    log_weight_P
        Log of the router's weight of each segment.
    """

    segments: tuple[Segment, ...] = ()
    levels: tuple[tuple[Tensor, Tensor], ...] = ()
    log_weight_P: Tensor | None = None


def remember(
    layers: FusionLayers, peers: Mapping[int, Latents], log_weight_P: Tensor
) -> LatentMemory:
    """Project what the peers of one request have read; without peers the memory is empty."""
    if not peers:
        return LatentMemory()
    segments = _segments(layers, peers)
    asks = Segment(0, torch.zeros(0, dtype=torch.int64))  # none yet
    plan = GroupingPlan.build([Fusion(asks, segments)], experts=layers.seats, device=layers.device)
    return LatentMemory(segments, _project(layers, [peers], plan), log_weight_P)


class Pass:
    """One forward pass of a primary over some requests, as the visitor of its stacks.

    Parameters
    ----------
    plan
        Queries are the primary's tokens, row after row.
    levels
        Packed keys and values of each level.
    tokens_BT
        Which positions of the pass are tokens and not padding; None when all are.
    """

    def __init__(
        self,
        layers: FusionLayers,
        primary: int,
        plan: GroupingPlan,
        levels: Sequence[tuple[Tensor, Tensor]],
        log_weight_P: Tensor,
        tokens_BT: Tensor | None = None,
    ) -> None:
        self._layers = layers
        self._primary = primary
        self._plan = plan
        self._levels = levels
        self._log_weight_M = plan.per_key(log_weight_P)
        self._tokens_BT = tokens_BT

    @classmethod
    def generating(
        cls,
        layers: FusionLayers,
        primary: int,
        memories: Sequence[LatentMemory],
        asks: Sequence[Tensor],
    ) -> Pass:
        """Return the pass over requests whose memories are fixed.

        Parameters
        ----------
        asks
            For each request, the byte ends of the tokens that ask in this pass.
        """
        fusions = [
            Fusion(Segment(primary, ends), memory.segments)
            for ends, memory in zip(asks, memories, strict=True)
        ]
        plan = GroupingPlan.build(fusions, experts=layers.seats, device=layers.device)
        weights = [m.log_weight_P for m in memories if m.log_weight_P is not None]
        return cls(
            layers,
            primary,
            plan,
            _pack(layers, memories, plan),
            torch.cat(weights) if weights else torch.zeros(0, device=layers.device),
        )

    @classmethod
    def training(
        cls,
        layers: FusionLayers,
        primary: int,
        asks: Sequence[Tensor],
        peers: Sequence[Mapping[int, Latents]],
        log_weight_P: Tensor,
        tokens_BT: Tensor,
    ) -> Pass:
        """Return the pass over a padded batch, with gradients through memory and weights."""
        fusions = [
            Fusion(Segment(primary, ends), _segments(layers, known))
            for ends, known in zip(asks, peers, strict=True)
        ]
        plan = GroupingPlan.build(fusions, experts=layers.seats, device=layers.device)
        return cls(layers, primary, plan, _project(layers, peers, plan), log_weight_P, tokens_BT)

    def memory_of(self, row: int, memory: LatentMemory) -> LatentMemory:
        """Return the memory of one request as a view of the packed rows, so that it is held once.

        Parameters
        ----------
        row
            The request's place in this pass, which was given `memory` for it.
        """
        if not memory.segments:
            return memory
        rows = self._plan.rows_of(row)[1]
        levels = tuple((k_MHD[rows], v_MHD[rows]) for k_MHD, v_MHD in self._levels)
        return replace(memory, levels=levels)

    def __call__(self, level: int, hidden_BTF: Tensor) -> Tensor | None:
        """Return the states after `level` with what the memory added; None where there is none."""
        if not self._plan.pairs:
            return None
        interaction: Interaction = self._layers.levels[level]
        tokens = self._tokens_BT
        hidden_NF = hidden_BTF.flatten(0, 1) if tokens is None else hidden_BTF[tokens]
        fused_NF = interaction.ask(
            self._primary, hidden_NF, self._levels[level], self._plan, self._log_weight_M
        )
        if tokens is None:
            return fused_NF.view(hidden_BTF.shape)
        fused_BTF = hidden_BTF.clone()
        fused_BTF[tokens] = fused_NF
        return fused_BTF


def _segments(layers: FusionLayers, peers: Mapping[int, Latents]) -> tuple[Segment, ...]:
    """Return the peers of one request and, where there are any, nobody."""
    if not peers:
        return ()
    nobody = Segment(layers.nobody, torch.zeros(1, dtype=torch.int64))
    return (*(Segment(e, latents.ends) for e, latents in peers.items()), nobody)


def _project(
    layers: FusionLayers, peers: Sequence[Mapping[int, Latents]], plan: GroupingPlan
) -> tuple[tuple[Tensor, Tensor], ...]:
    """Return packed keys and values of every level for the peers of every request."""
    levels = []
    nobody = torch.ones(sum(map(bool, peers)), NOBODY_WIDTH, device=layers.device)
    for level, interaction in enumerate(layers.levels):
        hidden = []
        for e, width in enumerate(layers.widths):
            own = [known[e].hidden[level] for known in peers if e in known]
            states = torch.cat(own) if own else torch.zeros(0, width)
            hidden.append(states.to(layers.device))
        levels.append(interaction.remember([*hidden, nobody], plan))
    return tuple(levels)


def _pack(
    layers: FusionLayers, memories: Sequence[LatentMemory], plan: GroupingPlan
) -> Sequence[tuple[Tensor, Tensor]]:
    """Return the memories of several requests as one batch of packed rows."""
    if len(memories) == 1:
        return memories[0].levels
    packed = []
    for level, interaction in enumerate(layers.levels):
        heads, width = interaction.heads, interaction.head_width
        like = torch.empty(0, device=layers.device)
        kv = [new_rows(like, plan.memory.n_rows, heads * width).zero_() for _ in range(2)]
        k_MHD, v_MHD = (x.view(-1, heads, width) for x in kv)
        for b, memory in enumerate(memories):
            if memory.segments:
                rows = plan.rows_of(b)[1]
                k_MHD[rows], v_MHD[rows] = memory.levels[level]
        packed.append((k_MHD, v_MHD))
    return packed
