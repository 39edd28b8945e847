"""Ragged cross-attention in bf16 matrix products, for CPUs whose fused kernel is slow in bf16.

That is a core with bf16 arithmetic but no matrix units (AMX): oneDNN's bf16 products run about four
times as fast as the ones inside the fused kernel, more than writing the scores to cache costs.

- `_products`: two batched matrix products around a softmax, a tile of queries at a time. Scores are
  rounded to bf16 once, an error of the size that rounding q and k to bf16 has already made; sums
  stay in fp32.
- `_plain`: the same without tiles, request by request, where these are short. It rounds the
  peers' log weights to bf16 as well.
- `_one_query`: a query alone in its bucket: the decode of a long memory, bound by reading it. Two
  vector-matrix products around a softmax, in fp32; it sees every key it is given.

Shape suffixes: as `motet.kernels.cpu`, and X is D with two more for the peers' weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from motet.kernels.buckets import Tile
from motet.kernels.cpu_calls import CpuInputs
from motet.kernels.masks import Masks

SCORES_PER_CALL = 2**22
"""Bound on the scores of all heads that one call holds: 8 MB in bf16, within a server's L3."""

LONG_QUERY = 32
"""From this many queries a tile on, `_products` repays its copies of keys and values."""

SHORT_QUERY = 256
"""Up to this many queries a request, tiles skip too little to repay the copies of `_products`.
One core of an AMD EPYC: 128 queries of 384 keys take 12.4 ms `_plain` and 15.1 in tiles, 256 of
768 78.5 and 79.2, 400 of 1,200 95.1 and 85.8."""

KEYS_PER_READ = 512
"""bf16 keys converted to fp32 at a time: 1.5 MB at 12 heads of 64, which stays in cache until
used. Measured on 4,000 keys, one core of an AMD EPYC: 4.4 ms, 5.7 ms all at once."""

KEY_STEP = 64
"""Key counts are rounded up to this, so that oneDNN meets few shapes and reuses its code."""


def attend_bucket_in_products(
    inputs: CpuInputs,
    bucket: Sequence[int],
    tiles: Sequence[Tile],
    masks: Masks,
    out_QHD: Tensor,
) -> bool:
    """Attend for one bucket and write its rows of `out_QHD`.

    False, and nothing written, where the fused kernel is better: few queries, unless one is alone.
    """
    q_QHD, k_MHD, v_MHD, bias_M, visible_Q, scale = inputs
    n, q0, queries, m0, memory = bucket
    if n * queries == 1:
        seen = slice(m0, m0 + tiles[0][3])
        bias_K = None if bias_M is None else bias_M[seen]
        out_QHD[q0] = _one_query(q_QHD[q0], k_MHD[seen], v_MHD[seen], bias_K, scale)
        return True
    longest = max(last - first for first, last, _, _ in tiles)
    if longest < LONG_QUERY:
        return False
    heads, width = q_QHD.shape[1:]
    q_nTHD, out_nTHD = _bucket(q_QHD, q0, n, queries), _bucket(out_QHD, q0, n, queries)
    k_nKHD, v_nKHD = _bucket(k_MHD, m0, n, memory), _bucket(v_MHD, m0, n, memory)
    if queries <= SHORT_QUERY:
        most = max(tile[3] for tile in tiles)
        whole = 0, queries, min(tile[2] for tile in tiles), most
        mask = masks.of(bucket, whole, bias_M, visible_Q, q_QHD.dtype)
        _plain(q_nTHD, k_nKHD[:, :most], v_nKHD[:, :most], mask, scale, out_nTHD)
        return True
    bias_nK = None if bias_M is None else _bucket(bias_M, m0, n, memory)
    visible_nT = _bucket(visible_Q, q0, n, queries)
    step = max(1, SCORES_PER_CALL // (heads * memory * max(longest, width)))
    for i in range(0, n, step):
        part = slice(i, i + step)
        _products(
            q_nTHD[part],
            k_nKHD[part],
            v_nKHD[part],
            None if bias_nK is None else bias_nK[part],
            visible_nT[part],
            tiles,
            scale,
            out_nTHD[part],
        )
    return True


def _bucket(x: Tensor, first: int, n: int, length: int) -> Tensor:
    """Return n requests of `length` rows each, from row `first`, as a view [n, length, ...]."""
    return x[first : first + n * length].view(n, length, *x.shape[1:])


def _one_query(
    q_HD: Tensor, k_KHD: Tensor, v_KHD: Tensor, bias_K: Tensor | None, scale: float
) -> Tensor:
    """Return the attention of one query [H, D], computed in fp32."""
    q_H1D = q_HD.float()[:, None] * scale
    keys = (part.float().permute(1, 2, 0) for part in k_KHD.split(KEYS_PER_READ))
    scores_H1K = torch.cat([torch.bmm(q_H1D, k_HDK) for k_HDK in keys], -1)
    weights_H1K = torch.softmax(scores_H1K if bias_K is None else scores_H1K.add_(bias_K), -1)
    sum_H1D = torch.zeros_like(q_H1D)
    weights = weights_H1K.split(KEYS_PER_READ, -1)
    for part_H1K, part_KHD in zip(weights, v_KHD.split(KEYS_PER_READ), strict=True):
        sum_H1D.baddbmm_(part_H1K, part_KHD.float().transpose(0, 1))
    return sum_H1D[:, 0].to(q_HD.dtype)


def _products(
    q_nTHD: Tensor,
    k_nKHD: Tensor,
    v_nKHD: Tensor,
    bias_nK: Tensor | None,
    visible_nT: Tensor,
    tiles: Sequence[Tile],
    scale: float,
    out_nTHD: Tensor,
) -> None:
    n, _, heads, width = q_nTHD.shape
    q_bTX, k_bXK = _with_bias(q_nTHD, k_nKHD, bias_nK, scale)
    v_bKD = _pad_keys(v_nKHD.transpose(1, 2).flatten(0, 1), k_bXK.shape[-1])
    keys_K = torch.arange(k_bXK.shape[-1], dtype=torch.int32)
    # Fresh memory for every tile would cost more in page faults than its arithmetic does.
    cells = max((last - first) * _round_up(most, KEY_STEP) for first, last, _, most in tiles)
    scores, weights = q_bTX.new_empty(2, n * heads * cells)
    for first, last, few, most in tiles:
        stop = _round_up(most, KEY_STEP)
        shape = (n * heads, last - first, stop)
        scores_bTK, weights_bTK = (x[: math.prod(shape)].view(shape) for x in (scores, weights))
        torch.baddbmm(
            scores_bTK,
            q_bTX[:, first:last],
            k_bXK[:, :, :stop],
            beta=0,
            alpha=scale,
            out=scores_bTK,
        )
        if few < stop:
            # Adding takes less than half the time of `masked_fill_`, which bf16 does one by one.
            hidden_nTK = keys_K[few:stop] >= visible_nT[:, first:last, None]
            mask_nTK = scores_bTK.new_zeros(hidden_nTK.shape).masked_fill_(hidden_nTK, -torch.inf)
            scores_bTK.view(n, heads, -1, stop)[..., few:] += mask_nTK[:, None]
        torch.softmax(scores_bTK, -1, out=weights_bTK)
        out_bTD = torch.bmm(weights_bTK, v_bKD[:, :stop])
        out_nTHD[:, first:last] = out_bTD.view(n, heads, -1, width).transpose(1, 2)


def _plain(
    q_nTHD: Tensor,
    k_nKHD: Tensor,
    v_nKHD: Tensor,
    mask_n1TK: Tensor | None,
    scale: float,
    out_nTHD: Tensor,
) -> None:
    for i in range(len(q_nTHD)):
        q_HTD = (q_nTHD[i] * scale).transpose(0, 1)
        scores_HTK = torch.bmm(q_HTD, k_nKHD[i].permute(1, 2, 0))
        if mask_n1TK is not None:
            scores_HTK.add_(mask_n1TK[i])
        weights_HTK = torch.softmax(scores_HTK, -1)
        out_nTHD[i] = torch.bmm(weights_HTK, v_nKHD[i].transpose(0, 1)).transpose(0, 1)


def _with_bias(
    q_nTHD: Tensor, k_nKHD: Tensor, bias_nK: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """Copy q to [b, T, X] and k to [b, X, K], b = n * heads, the bias as two more features of k.

    q is 1 there. Two bf16 numbers hold the bias to 16 bits, and the product adds it in fp32.
    Keys lie innermost because oneDNN multiplies that layout 1.7 times as fast.
    """
    n, queries, heads, width = q_nTHD.shape
    memory = k_nKHD.shape[1]
    extra = 0 if bias_nK is None else 2
    q_nHTX = q_nTHD.new_ones(n, heads, queries, width + extra)
    q_nHTX[..., :width] = q_nTHD.transpose(1, 2)
    k_nHXK = k_nKHD.new_empty(n, heads, width + extra, _round_up(memory, KEY_STEP))
    k_nHXK[:, :, :width, :memory] = k_nKHD.permute(0, 2, 3, 1)
    k_nHXK[..., memory:] = 0
    if bias_nK is not None:
        bias_nK = bias_nK / scale
        high_nK = bias_nK.to(k_nHXK.dtype)
        k_nHXK[:, :, width, :memory] = high_nK[:, None]
        k_nHXK[:, :, width + 1, :memory] = (bias_nK - high_nK)[:, None]
    return q_nHTX.flatten(0, 1), k_nHXK.flatten(0, 1)


def _pad_keys(x_bKD: Tensor, keys: int) -> Tensor:
    """Copy to `keys` keys, zero after the last: a masked key has weight 0, and 0 * nan is nan."""
    padded_bKD = x_bKD.new_empty(x_bKD.shape[0], keys, x_bKD.shape[2])
    padded_bKD[:, : x_bKD.shape[1]] = x_bKD
    padded_bKD[:, x_bKD.shape[1] :] = 0
    return padded_bKD


def _round_up(x: int, step: int) -> int:
    return -(-x // step) * step
