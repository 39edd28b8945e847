"""Ragged cross-attention on a CPU: buckets as strided views, tiles of queries, prefixes of keys.

All ways below compute only the keys that a tile of queries can see, which is about half of them.

- `_fused`: one `scaled_dot_product_attention` a tile. For fp32, fp64 and fp16, where the fused
  kernel runs at the speed of the machine's matrix products, and for short queries.
- `_products`: two batched matrix products around a softmax. For bf16 on a core with bf16
  arithmetic: oneDNN's bf16 products run about four times as fast as the ones inside the fused
  kernel, more than writing the scores to cache costs. Scores are rounded to bf16 once, an error
  of the size that rounding q and k to bf16 has already made; sums stay in fp32.
- `_plain`: the same without tiles, request by request, where these are short. It rounds the
  peers' log weights to bf16 as well.
- `_one_query`: two batched vector-matrix products around a softmax, for a query alone in its
  bucket: the decode of a long memory, bound by reading it. It sees every key it is given, so it
  needs no mask.

Shape suffixes: Q packed query rows, M packed memory rows, H heads, D head width, n requests of a
bucket, T queries of a tile, K keys that a tile sees; _X is D with two more for the peers' weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor

from motet.kernels.grouping import PlanTensors

SCORES_PER_CALL = 2**22
"""Bound on the scores of all heads that one call holds: 8 MB in bf16, within a server's L3."""

LONG_QUERY = 32
"""From this many queries a tile on, `_products` repays its copies of keys and values."""

SHORT_QUERY = 256
"""Up to this many queries a request, tiles skip too little to repay the copies of `_products`.
One core of an AMD EPYC: 128 queries of 384 keys take 12.4 ms `_plain` and 15.1 in tiles, 256 of
768 78.5 and 79.2, 400 of 1,200 95.1 and 85.8."""

FEW_QUERIES = 4
"""Up to this many queries, converting bf16 keys to fp32 costs less than attending in bf16."""

KEYS_PER_READ = 512
"""bf16 keys converted to fp32 at a time: 1.5 MB at 12 heads of 64, which stays in cache until
used. Measured on 4,000 keys, one core of an AMD EPYC: 4.4 ms, 5.7 ms all at once."""

KEY_STEP = 64
"""Key counts are rounded up to this, so that oneDNN meets few shapes and reuses its code."""

Tile = tuple[int, int, int, int]
"""First and last query of a request, and the fewest and most keys that a query sees."""


def attend_cpu(
    q_QHD: Tensor,
    k_MHD: Tensor,
    v_MHD: Tensor,
    bias_M: Tensor | None,
    plan: PlanTensors,
    scale: float,
) -> Tensor:
    """Attend on the CPU; arguments as `motet.kernels.cross_attention.attend`."""
    heads, width = q_QHD.shape[1:]
    in_products = q_QHD.dtype is torch.bfloat16 and fast_bf16()
    out_QHD = None
    for (n, q0, queries, m0, memory), tiles in buckets_with_tiles(plan):
        if n == queries == 1:
            most = tiles[0][3]
            bias_K = None if bias_M is None else _rows(bias_M, m0, most)
            k_KHD, v_KHD = _rows(k_MHD, m0, most), _rows(v_MHD, m0, most)
            one_H1D = _one_query(_rows(q_QHD, q0, 1), k_KHD, v_KHD, bias_K, scale)
            if q_QHD.shape[0] == 1:
                return one_H1D.view(q_QHD.shape)
            out_QHD = q_QHD.new_empty(q_QHD.shape) if out_QHD is None else out_QHD
            out_QHD[q0] = one_H1D.squeeze(1)
            continue
        longest = max(last - first for first, last, _, _ in tiles)
        q_nTHD = _bucket(q_QHD, q0, n, queries)
        k_nKHD, v_nKHD = _bucket(k_MHD, m0, n, memory), _bucket(v_MHD, m0, n, memory)
        bias_nK = None if bias_M is None else _bucket(bias_M, m0, n, memory)
        visible_nT = _bucket(plan.visible_Q, q0, n, queries)
        few_bf16 = q_QHD.dtype is torch.bfloat16 and longest <= FEW_QUERIES
        in_tiles = _plain if queries <= SHORT_QUERY else _products
        way = in_tiles if in_products and longest >= LONG_QUERY else _fused
        if way is _fused and n * queries == len(q_QHD) == n * longest and not few_bf16:
            # The whole batch is one call, whose result is the packed output: no second copy.
            _, _, few, most = tiles[0]
            mask = _mask(bias_nK, visible_nT, few, most, q_QHD.dtype)
            out_nTHD = _attend_fused(q_nTHD, k_nKHD[:, :most], v_nKHD[:, :most], mask, scale)
            out_QHD = out_nTHD.contiguous().view(q_QHD.shape)
            break
        if out_QHD is None:
            out_QHD = q_QHD.new_empty(q_QHD.shape)
        out_nTHD = _bucket(out_QHD, q0, n, queries)
        step = max(1, SCORES_PER_CALL // (heads * memory * max(longest, width)))
        for i in range(0, n, step):
            part = slice(i, i + step)
            way(
                q_nTHD[part],
                k_nKHD[part],
                v_nKHD[part],
                None if bias_nK is None else bias_nK[part],
                visible_nT[part],
                tiles,
                scale,
                out_nTHD[part],
            )
    if out_QHD is None:
        return q_QHD.new_zeros(q_QHD.shape)
    return out_QHD.index_fill_(0, plan.blind_Z, 0) if len(plan.blind_Z) else out_QHD


def fast_bf16() -> bool:
    """Whether this CPU multiplies bf16 in hardware."""
    return bool(torch.cpu._is_avx512_bf16_supported())


def buckets_with_tiles(plan: PlanTensors) -> Iterator[tuple[list[int], list[Tile]]]:
    """Yield every bucket in which some query sees some key, with its tiles."""
    buckets = plan.buckets_G5.tolist()
    for g, rows in groupby(plan.tiles_W5.tolist(), key=lambda row: row[0]):
        yield buckets[g], [(first, last, few, most) for _, first, last, few, most in rows]


def _bucket(x: Tensor, first: int, n: int, length: int) -> Tensor:
    """Return n requests of `length` rows each, from row `first`, as a view [n, length, ...]."""
    return _rows(x, first, n * length).view(n, length, *x.shape[1:])


def _rows(x: Tensor, first: int, count: int) -> Tensor:
    """Return `count` rows from `first`; `x` itself where it has no others: a slice costs 1 us."""
    return x if x.shape[0] == count else x[first : first + count]


def _one_query(
    q_1HD: Tensor, k_KHD: Tensor, v_KHD: Tensor, bias_K: Tensor | None, scale: float
) -> Tensor:
    """Return the attention of one query [H, 1, D], in fp32 or better."""
    wide = torch.promote_types(q_1HD.dtype, torch.float32)
    q_H1D = q_1HD.transpose(0, 1)
    if wide == q_1HD.dtype:
        weights_H1K = _weigh(torch.bmm(q_H1D, k_KHD.permute(1, 2, 0)), bias_K, scale)
        return torch.bmm(weights_H1K, v_KHD.transpose(0, 1))
    q_H1D = q_H1D.to(wide)
    keys = (part.to(wide).permute(1, 2, 0) for part in k_KHD.split(KEYS_PER_READ))
    weights_H1K = _weigh(torch.cat([torch.bmm(q_H1D, k_HDK) for k_HDK in keys], -1), bias_K, scale)
    sum_H1D = torch.zeros_like(q_H1D)
    weights = weights_H1K.split(KEYS_PER_READ, -1)
    for part_H1K, part_KHD in zip(weights, v_KHD.split(KEYS_PER_READ), strict=True):
        sum_H1D.baddbmm_(part_H1K, part_KHD.to(wide).transpose(0, 1))
    return sum_H1D.to(q_1HD.dtype)


def _weigh(scores_H1K: Tensor, bias_K: Tensor | None, scale: float) -> Tensor:
    if bias_K is None:
        return torch.softmax(scores_H1K * scale, -1)
    return torch.softmax(torch.add(bias_K.to(scores_H1K.dtype), scores_H1K, alpha=scale), -1)


def _fused(
    q_nTHD: Tensor,
    k_nKHD: Tensor,
    v_nKHD: Tensor,
    bias_nK: Tensor | None,
    visible_nT: Tensor,
    tiles: list[Tile],
    scale: float,
    out_nTHD: Tensor,
) -> None:
    if q_nTHD.dtype is torch.bfloat16 and q_nTHD.shape[1] <= FEW_QUERIES:
        # The fused kernel is several times slower in bf16 than in fp32 when few queries ask.
        q_nTHD, k_nKHD, v_nKHD = q_nTHD.float(), k_nKHD.float(), v_nKHD.float()
    for first, last, few, most in tiles:
        mask = _mask(bias_nK, visible_nT[:, first:last], few, most, q_nTHD.dtype)
        out_nTHD[:, first:last] = _attend_fused(
            q_nTHD[:, first:last], k_nKHD[:, :most], v_nKHD[:, :most], mask, scale
        )


def _attend_fused(
    q_nTHD: Tensor, k_nKHD: Tensor, v_nKHD: Tensor, mask: Tensor | None, scale: float
) -> Tensor:
    out_nHTD = F.scaled_dot_product_attention(
        q_nTHD.transpose(1, 2),
        k_nKHD.transpose(1, 2),
        v_nKHD.transpose(1, 2),
        attn_mask=mask,
        scale=scale,
    )
    return out_nHTD.transpose(1, 2)


def _mask(
    bias_nK: Tensor | None, visible_nT: Tensor, few: int, most: int, dtype: torch.dtype
) -> Tensor | None:
    """Return what to add to the scores of a tile [n, 1, T or 1, K]; None for nothing."""
    # A half-precision mask would round the peers' log weights.
    dtype = torch.promote_types(dtype, torch.float32)
    if few == most:
        return None if bias_nK is None else bias_nK[:, None, None, :most].to(dtype)
    seen_nTK = torch.arange(most) < visible_nT[:, :, None]
    if bias_nK is None:
        shown = torch.zeros((), dtype=dtype)
    else:
        shown = bias_nK[:, None, :most].to(dtype)
    return torch.where(seen_nTK, shown, -torch.inf)[:, None]


def _products(
    q_nTHD: Tensor,
    k_nKHD: Tensor,
    v_nKHD: Tensor,
    bias_nK: Tensor | None,
    visible_nT: Tensor,
    tiles: list[Tile],
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
    bias_nK: Tensor | None,
    visible_nT: Tensor,
    tiles: list[Tile],
    scale: float,
    out_nTHD: Tensor,
) -> None:
    most = max(tile[3] for tile in tiles)
    keys_K = torch.arange(most, dtype=torch.int32)
    hidden = q_nTHD.new_full((), -torch.inf)
    for i in range(len(q_nTHD)):
        shown_K = q_nTHD.new_zeros(()) if bias_nK is None else bias_nK[i, :most].to(q_nTHD.dtype)
        mask_TK = torch.where(keys_K < visible_nT[i, :, None], shown_K, hidden)
        q_HTD = (q_nTHD[i] * scale).transpose(0, 1)
        scores_HTK = torch.bmm(q_HTD, k_nKHD[i, :most].permute(1, 2, 0)).add_(mask_TK)
        weights_HTK = torch.softmax(scores_HTK, -1)
        out_nTHD[i] = torch.bmm(weights_HTK, v_nKHD[i, :most].transpose(0, 1)).transpose(0, 1)


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
