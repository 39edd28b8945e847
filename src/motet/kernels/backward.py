"""Gradients of ragged cross-attention as a torch formula, for every device.

With P = softmax(S), S = scale * q k^T + bias and O = P v (Dao et al., FlashAttention, 2022,
appendix B.2):

    dv = P^T dO        dP = dO v^T        dS = P * (dP - rowsum(P * dP))
    dq = scale * dS k  dk = scale * dS^T q        dbias = sum of dS over heads and queries

Weights are computed again tile by tile, so memory stays that of one tile, and sums are in fp32 or
better. The tables that drive the loop live on the host: no step waits for the device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from motet.kernels.buckets import host_work
from motet.kernels.grouping import PlanTensors


def attend_backward(
    grad_QHD: Tensor,
    q_QHD: Tensor,
    k_MHD: Tensor,
    v_MHD: Tensor,
    bias_M: Tensor | None,
    plan: PlanTensors,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of q, k, v and the bias; the last is empty where there is no bias."""
    wide = torch.promote_types(q_QHD.dtype, torch.float32)
    dq_QHD = q_QHD.new_zeros(q_QHD.shape, dtype=wide)
    dk_MHD = k_MHD.new_zeros(k_MHD.shape, dtype=wide)
    dv_MHD = v_MHD.new_zeros(v_MHD.shape, dtype=wide)
    dbias_M = q_QHD.new_zeros(0 if bias_M is None else len(bias_M), dtype=wide)
    for (n, q0, queries, m0, memory), tiles in host_work(plan.buckets_G5, plan.tiles_W5):
        for i in range(n):
            first_key = m0 + i * memory
            for first, last, _, most in tiles:
                rows = slice(q0 + i * queries + first, q0 + i * queries + last)
                keys = slice(first_key, first_key + most)
                dq, dk, dv, dscores = _tile(
                    grad_QHD[rows].to(wide).transpose(0, 1),
                    q_QHD[rows].to(wide).transpose(0, 1),
                    k_MHD[keys].to(wide).transpose(0, 1),
                    v_MHD[keys].to(wide).transpose(0, 1),
                    None if bias_M is None else bias_M[keys].to(wide),
                    plan.visible_Q[rows],
                    scale,
                )
                dq_QHD[rows] = dq.transpose(0, 1)
                dk_MHD[keys] += dk.transpose(0, 1)
                dv_MHD[keys] += dv.transpose(0, 1)
                if bias_M is not None:
                    dbias_M[keys] += dscores.sum((0, 1))
    if bias_M is not None:
        dbias_M = dbias_M.to(bias_M.dtype)
    return dq_QHD.to(q_QHD.dtype), dk_MHD.to(k_MHD.dtype), dv_MHD.to(v_MHD.dtype), dbias_M


def _tile(
    grad_HTD: Tensor,
    q_HTD: Tensor,
    k_HKD: Tensor,
    v_HKD: Tensor,
    bias_K: Tensor | None,
    visible_T: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    scores_HTK = q_HTD @ k_HKD.transpose(1, 2) * scale
    if bias_K is not None:
        scores_HTK += bias_K
    hidden_TK = torch.arange(k_HKD.shape[1], device=k_HKD.device) >= visible_T[:, None]
    # Softmax of a finite floor, then zero: a row that sees nothing has no weight, and no nan.
    scores_HTK.masked_fill_(hidden_TK, torch.finfo(scores_HTK.dtype).min)
    weights_HTK = torch.softmax(scores_HTK, -1).masked_fill_(hidden_TK, 0)
    dweights_HTK = grad_HTD @ v_HKD.transpose(1, 2)
    centre_HT1 = (weights_HTK * dweights_HTK).sum(-1, keepdim=True)
    dscores_HTK = weights_HTK * (dweights_HTK - centre_HT1)
    return (
        dscores_HTK @ k_HKD * scale,
        dscores_HTK.transpose(1, 2) @ q_HTD * scale,
        weights_HTK.transpose(1, 2) @ grad_HTD,
        dscores_HTK,
    )
