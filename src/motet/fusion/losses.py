"""What a fusion learns from: the answer's tokens, and which experts were right.

    L = CE + BCE + 0.01 * (-entropy) + 0.01 * balance + 0.05 * consistency

CE is that of the answer's tokens, and reaches the router through the peers' weights. BCE is over
which experts were right, where that is known. The other three are Mixture of Thoughts' published
terms with its factors: weights of a request shall not collapse onto one member, members shall be
used alike over a batch (Switch Transformer, Fedus et al., 2021), and two views of a prompt, each
with a tenth of its features dropped, shall be rated alike.

Shape suffixes: B requests, E members, F the reader's hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, dropout, kl_div

from motet.fusion.layers import RouterHead

FACTORS = {"right": 1.0, "entropy": 0.01, "balance": 0.01, "consistency": 0.05}
_DROPPED = 0.1


def router_losses(
    router: RouterHead,
    prompt_BF: Tensor,
    logits_BE: Tensor,
    right: Sequence[Mapping[int, bool]],
) -> dict[str, Tensor]:
    """Return the router's own terms, each before its factor.

    Parameters
    ----------
    right
        For each request, members whose being right is known.
    """
    log_BE = logits_BE.log_softmax(1)
    weights_BE = log_BE.exp()
    first, second = (router(dropout(prompt_BF, _DROPPED)).log_softmax(1) for _ in range(2))
    apart = kl_div(first, second, log_target=True, reduction="batchmean")
    apart = apart + kl_div(second, first, log_target=True, reduction="batchmean")
    used_E = weights_BE.mean(0)
    return {
        "right": _right(logits_BE, right),
        "entropy": (weights_BE * log_BE).sum(1).mean(),  # negative entropy: less is more even
        "balance": (used_E * used_E).sum() * logits_BE.shape[1],
        "consistency": apart / 2,
    }


def _right(logits_BE: Tensor, right: Sequence[Mapping[int, bool]]) -> Tensor:
    known = [(b, e, float(was)) for b, about in enumerate(right) for e, was in about.items()]
    if not known:
        return logits_BE.sum() * 0
    rows, members, was = zip(*known, strict=True)
    return binary_cross_entropy_with_logits(
        logits_BE[list(rows), list(members)], torch.tensor(was, device=logits_BE.device)
    )
