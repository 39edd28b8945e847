"""What trains in a fusion: interaction layers between frozen members, and the router's head.

At each level, for the hidden states h of primary p and those of its peers e,

    q = s_p(h) Q_p        k_e = s_e(h_e) K_e        v_e = s_e(h_e) V_e
    h' = h + tanh(g_p) * attend(q, [k_0, k], [0, v]; log w) B_p,

where s standardises: each token to unit root mean square, then each feature by the mean and the
deviation it has over the training prompts. Nothing is normalised on the added term, and g starts
at 0, so a new layer is the identity to the bit. k_0 is nobody's key: it is learnt, stands before
every text, and has no value, so attention that goes there asks no peer. Keys and values come
straight from a member's width: nothing nonlinear lies between, so a shared projection in front is
folded into them. At the last level V and B may be tied to the members' vocabularies instead of
learnt; see bridge.py.

References: Mixture of Thoughts (interaction layers between stacks of frozen experts, their router
and its loss terms); Alayrac et al., Flamingo, 2022 (the gate).

Shape suffixes: N tokens of one member, Q packed queries, M packed memory, H heads, D head width,
S = H * D, F a member's hidden size, E members, B requests, P pairs of a request and a peer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from motet.kernels import GroupingPlan, attend, project, project_back

_ROUTER_WIDTH = 64

NOBODY_WIDTH = 1
"""Hidden size of nobody, whose one state is a 1."""


class Standard(nn.Module):
    """Hidden states of one member at one level, at a scale that suits a new layer.

    Attributes
    ----------
    size
        Root mean square of the member's own states here: the scale of what is added to them.
    """

    mean: Tensor
    scale: Tensor
    size: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("size", torch.ones(()))

    def fit(self, hidden_NF: Tensor) -> None:
        """Take mean, deviation and size from hidden states [N, F]."""
        unit_NF = _unit(hidden_NF.float())
        self.mean.copy_(unit_NF.mean(0))
        self.scale.copy_(1 / unit_NF.std(0).clamp_min(1e-3))
        # A few tokens, such as the first, are a hundred times larger: the median passes them by.
        self.size.copy_(hidden_NF.float().pow(2).mean(1).sqrt().median())

    def forward(self, hidden_NF: Tensor) -> Tensor:
        """Return float32 states; each token's own size is gone."""
        return (_unit(hidden_NF.float()) - self.mean) * self.scale


class Interaction(nn.Module):
    """One level: what primaries ask, what members remember, and what comes back.

    Parameters
    ----------
    widths
        Hidden size of each member.
    primaries
        Indices of the members that ask.
    """

    def __init__(
        self, widths: Sequence[int], primaries: Sequence[int], heads: int, head_width: int
    ) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width
        shared = heads * head_width
        widths = [*widths, NOBODY_WIDTH]
        self.standards = nn.ModuleList(Standard(width) for width in widths)
        self.keys = nn.ParameterList(_normal(width, shared) for width in widths)
        self.values = nn.ParameterList(_normal(width, shared) for width in widths)
        self.query = nn.ParameterDict({str(p): _normal(widths[p], shared) for p in primaries})
        self.back = nn.ParameterDict({str(p): _normal(shared, widths[p]) for p in primaries})
        self.gates = nn.Parameter(torch.zeros(len(widths)))
        self.values[-1].requires_grad_(False).zero_()

    @torch.no_grad()
    def fit(self, member: int, hidden_NF: Tensor) -> None:
        """Fit the standard of a member, and let what comes back have its states' size."""
        standard = self.standards[member]
        standard.fit(hidden_NF)
        if str(member) in self.back:
            self.back[str(member)].mul_(standard.size)

    def remember(self, hidden: Sequence[Tensor], plan: GroupingPlan) -> tuple[Tensor, Tensor]:
        """Return keys and values [M, H, D] in packed rows.

        Parameters
        ----------
        hidden
            States [N_e, F_e] of each member, in the plan's grouped order; N_e may be 0. Nobody's
            come last, [N_0, 1] of ones.
        """
        with self._exactly():
            standard = [s(h) for s, h in zip(self.standards, hidden, strict=True)]
            weights = [torch.cat(pair, 1) for pair in zip(self.keys, self.values, strict=True)]
            packed = project(standard, weights, plan.memory)
        k_MHD, v_MHD = packed.view(-1, 2, self.heads, self.head_width).unbind(1)
        return k_MHD, v_MHD

    def ask(
        self,
        primary: int,
        hidden_NF: Tensor,
        memory: tuple[Tensor, Tensor],
        plan: GroupingPlan,
        log_weight_M: Tensor,
    ) -> Tensor:
        """Return the primary's states with what it has found in the memory added.

        Every query of `plan` is the primary's: a forward pass belongs to one model.

        Parameters
        ----------
        hidden_NF
            States of all its tokens, request after request, in any dtype.
        """
        p = str(primary)
        seats = len(self.standards)

        def alone(x_NF: Tensor) -> list[Tensor]:  # the other members have no queries
            return [x_NF if e == primary else x_NF[:0] for e in range(seats)]

        with self._exactly():
            q_QS = project(
                alone(self.standards[primary](hidden_NF)), [self.query[p]] * seats, plan.queries
            )
            q_QHD = q_QS.view(-1, self.heads, self.head_width)
            fused_QHD = attend(q_QHD, *memory, plan, log_weight_M=log_weight_M)
            states = project_back(
                alone(hidden_NF.float()),
                fused_QHD.flatten(1),
                [self.back[p]] * seats,
                self.gates,
                plan.queries,
            )
        return states[primary].to(hidden_NF.dtype)

    def _exactly(self) -> torch.autocast:
        """Return a block in which a training in half precision computes these layers in full."""
        return torch.autocast(self.gates.device.type, enabled=False)


class RouterHead(nn.Module):
    """Reads the prompt, and nothing else, and rates every member.

    The prompt is the mean of its tokens' embeddings in the reader's table, which costs a look-up,
    so that routing comes before any prefill.

    Parameters
    ----------
    width
        Hidden size of the reader.
    """

    def __init__(self, width: int, members: int) -> None:
        super().__init__()
        self.standard = Standard(width)
        self.inner = nn.Linear(width, _ROUTER_WIDTH)
        self.outer = nn.Linear(_ROUTER_WIDTH, members)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, prompt_BF: Tensor) -> Tensor:
        """Return logits [B, E], of each member being right; each row from its own prompt alone."""
        inner: Tensor = nn.functional.gelu(self.inner(self.standard(prompt_BF)))
        logits_BE: Tensor = self.outer(inner)
        return logits_BE


class FusionLayers(nn.Module):
    """All levels and the router of a fusion.

    Parameters
    ----------
    widths
        Hidden size of each member, by index.
    primaries
        Indices of the members that may ask; the first reads for the router.
    """

    def __init__(
        self,
        widths: Sequence[int],
        primaries: Sequence[int],
        *,
        levels: int,
        heads: int,
        head_width: int,
    ) -> None:
        super().__init__()
        self.widths, self.primaries = tuple(widths), tuple(primaries)
        self.levels = nn.ModuleList(
            Interaction(widths, primaries, heads, head_width) for _ in range(levels)
        )
        self.router = RouterHead(widths[primaries[0]], len(widths))

    @property
    def nobody(self) -> int:
        """Index of the seat behind the members', for attention that asks no peer."""
        return len(self.widths)

    @property
    def seats(self) -> int:
        """How many a plan counts as experts: the members and nobody."""
        return len(self.widths) + 1

    @property
    def device(self) -> torch.device:
        """Where the weights are; what they are given comes to them."""
        return torch.device(self.levels[0].gates.device)

    def gates(self) -> list[Tensor]:
        """Return the gates of every level, which learn faster than the rest."""
        return [level.gates for level in self.levels]


def peer_weights(logits_BE: Tensor, primary: int, peers: Sequence[Sequence[int]]) -> Tensor:
    """Return log weights [P] of each request's peers, and behind them of nobody.

    They sum to one over a request. Nobody weighs as much as the primary: the surer the router is
    that the primary is right alone, the less it is told.
    """
    parts = [
        logits_E[[*chosen, primary]].log_softmax(0)
        for logits_E, chosen in zip(logits_BE, peers, strict=True)
        if chosen
    ]
    return torch.cat(parts) if parts else logits_BE.new_zeros(0)


def _unit(hidden_NF: Tensor) -> Tensor:
    return hidden_NF * torch.rsqrt(hidden_NF.pow(2).mean(-1, keepdim=True) + 1e-6)


def _normal(rows: int, columns: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, columns) / math.sqrt(rows))
