"""The bridge: where the last level starts, so that a peer's next word is the primary's too.

After its last layer a member's state h says the next token by logits U h / |h|, with the gain of
its last norm folded into U. Members of different families have tens of thousands of tokens that
are the same text. Over these V tokens, with U_p = P diag(s) R^T of the first primary p,

    value of a peer e:    V_e = U_e^T P diag(1/s)
    back to a primary o:  B_o = diag(s) P^T pinv(U_o)^T,

cut to the S leading directions: what the peer would say, as the state in which the primary would
say it. Without it the layers learn to say only those answers that were answers in training.

Shape suffixes: V shared tokens, F a member's hidden size, S features of all heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from motet.errors import ConfigError
from motet.fusion.layers import FusionLayers
from motet.fusion.members import FusionMember

_TOKENS = 1 << 15
"""Shared tokens to fit on, of the lowest numbers: tokenizers number frequent ones first."""

_RIDGE = 1e-2
"""Of the mean squared singular value: keeps rare directions from being blown up."""

_STRENGTH = 8.0
"""Size of what comes back over that of the primary's own states: gates open by a tenth or so in a
short training, and the bridge shall carry before other levels have learnt answers by heart."""


def build_bridge(layers: FusionLayers, members: Sequence[FusionMember]) -> None:
    """Tie values and what comes back at the last level; standards must have been fitted.

    What is tied does not learn: it says words that were never answers in training, as long as it
    is left as it is.

    Raises
    ------
    ConfigError
        The members' tokens share no more texts than the first primary is wide.
    """
    first, level = layers.primaries[0], layers.levels[-1]
    features = level.heads * level.head_width
    u_VF = [
        _readout(member, tokens)
        for member, tokens in zip(members, _alike(members, members[first]), strict=True)
    ]
    squares_S, r_FS = _leading(u_VF[first], features)
    p_VS = u_VF[first] @ r_FS / squares_S.sqrt()
    kept = len(squares_S)
    with torch.no_grad():
        # Nobody, who comes behind the members, has nothing to say.
        for u, standard, value_FS in zip(u_VF, level.standards, level.values, strict=False):
            said_FS = (u.T @ p_VS) / squares_S.sqrt()
            value_FS.zero_()[:, :kept] = said_FS / standard.scale[:, None]
        for o in layers.primaries:
            gram = u_VF[o].T @ u_VF[o]
            gram += _RIDGE * gram.diagonal().mean() * torch.eye(len(gram))
            back_FS = torch.linalg.solve(gram, u_VF[o].T @ p_VS) * squares_S.sqrt()
            size = _STRENGTH * level.standards[o].size
            level.back[str(o)].zero_()[:kept] = size * back_FS.T
    level.values.requires_grad_(False)
    level.back.requires_grad_(False)


def _leading(u_VF: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Return the largest squared singular values [S] and their right vectors [F, S]."""
    squares, vectors = torch.linalg.eigh(u_VF.T @ u_VF)
    kept = min(most, int((squares > 1e-6 * squares[-1]).sum()))
    return squares[-kept:].flip(0), vectors[:, -kept:].flip(1)


def _readout(member: FusionMember, rows: Sequence[int]) -> Tensor:
    """Return U: how a state of unit size becomes logits of some tokens, less what all share."""
    u_VF = member.head.weight[list(rows)].float().cpu() * member.last_gain()
    return u_VF - u_VF.mean(0)


def _alike(members: Sequence[FusionMember], first: FusionMember) -> list[list[int]]:
    """Return the same tokens in every member's own numbers, as text by text."""
    texts = [_by_text(member) for member in members]
    shared = set.intersection(*(set(known) for known in texts))
    chosen = [text for text in _by_text(first) if text in shared][:_TOKENS]
    if len(chosen) < first.width:
        raise ConfigError(
            f"members share the texts of {len(chosen)} tokens, too few for a bridge between "
            f"vocabularies at width {first.width}.",
            hint="Train with --no-bridge.",
        )
    return [[known[text] for text in chosen] for known in texts]


def _by_text(member: FusionMember) -> Mapping[str, int]:
    """Return tokens by their text, frequent ones first; parts of a character have none."""
    tokenizer = member.tokenizer
    count = min(len(tokenizer), member.head.weight.shape[0])
    special = set(tokenizer.all_special_ids)
    tokens: dict[str, int] = {}
    for token in range(count):
        text = tokenizer.decode([token])
        if token not in special and text and "\ufffd" not in text:
            tokens.setdefault(text, token)
    return tokens
