"""Ragged cross-attention on a CPU: tiles of queries over prefixes of keys, by strided views.

One `scaled_dot_product_attention` serves a tile of requests of a bucket, over the keys that the
tile can see: about half of them. The fused kernel runs at the speed of the machine's matrix
products in fp32, fp64 and fp16, and in bf16 on a core with matrix units (AMX). On other cores bf16
goes to `motet.kernels.cpu_products`, but for short queries.

Shape suffixes: Q packed query rows, M packed memory rows, H heads, D head width, n requests of a
bucket, T queries of a tile, K keys that a tile sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from motet.kernels.cpu_calls import CpuInputs, CpuWork
from motet.kernels.cpu_products import attend_bucket_in_products
from motet.kernels.masks import Masks

FEW_QUERIES = 4
"""Up to this many queries, converting bf16 keys to fp32 costs less than attending in bf16, without
matrix units."""


def attend_cpu(
    inputs: CpuInputs,
    blind_Z: Tensor,
    work: Sequence[CpuWork],
    masks: Masks,
    *,
    products: bool | None = None,
) -> Tensor:
    """Attend on the CPU.

    Parameters
    ----------
    blind_Z
        The query rows that see nothing.
    work
        The plan's work as host integers.
    masks
        What the plan keeps from call to call.
    products
        Whether bf16 goes to `motet.kernels.cpu_products`; None where that is faster here.
    """
    q_QHD, k_MHD, v_MHD, bias_M, visible_Q, scale = inputs
    in_products = q_QHD.dtype is torch.bfloat16 and (
        products_win() if products is None else products
    )
    if not in_products and len(work) == 1 and work[0].bucket[:3] == [len(q_QHD), 0, 1]:
        return _one_query_each(inputs, work[0], masks, blind_Z)
    out_QHD = None
    for bucket, tiles, calls in work:
        if in_products:
            out_QHD = q_QHD.new_empty(q_QHD.shape) if out_QHD is None else out_QHD
            if attend_bucket_in_products(inputs, bucket, tiles, masks, out_QHD):
                continue
        for part, tile in calls:
            n, q0, queries, m0, memory = part
            first, last, _, most = tile
            length = last - first
            q_nHTD = _heads_first(q_QHD, q0 + first, n, queries, length)
            k_nHKD = _heads_first(k_MHD, m0, n, memory, most)
            v_nHKD = _heads_first(v_MHD, m0, n, memory, most)
            if in_products and length <= FEW_QUERIES:
                q_nHTD, k_nHKD, v_nHKD = q_nHTD.float(), k_nHKD.float(), v_nHKD.float()
            # The fused kernel takes one tensor, so what hides a key and what weighs it are one.
            mask = masks.of(part, tile, bias_M, visible_Q, q_nHTD.dtype)
            tile_nHTD = F.scaled_dot_product_attention(
                q_nHTD, k_nHKD, v_nHKD, attn_mask=mask, scale=scale
            )
            if n * length == len(q_QHD):
                # The whole batch is one call, whose result is the packed output: no second copy.
                out_QHD = tile_nHTD.transpose(1, 2).reshape(q_QHD.shape)
                if in_products:
                    out_QHD = out_QHD.to(q_QHD.dtype)
                break
            if out_QHD is None:
                out_QHD = q_QHD.new_empty(q_QHD.shape)
            _heads_first(out_QHD, q0 + first, n, queries, length).copy_(tile_nHTD)
    if out_QHD is None:
        return q_QHD.new_zeros(q_QHD.shape)
    return out_QHD.index_fill_(0, blind_Z, 0) if len(blind_Z) else out_QHD


def _one_query_each(inputs: CpuInputs, work: CpuWork, masks: Masks, blind_Z: Tensor) -> Tensor:
    """Attend where the whole batch is one bucket of one query a request, hence one call.

    For one row that takes some fifty microseconds, and each operation around it one: four views.
    """
    q_QHD, k_MHD, v_MHD, bias_M, visible_Q, scale = inputs
    bucket, tile = work.calls[0]
    n, _, _, first, memory = bucket
    mask = masks.of(bucket, tile, bias_M, visible_Q, q_QHD.dtype)
    out_QH1D = F.scaled_dot_product_attention(
        q_QHD.unsqueeze(2),
        _heads_first(k_MHD, first, n, memory, tile[3]),
        _heads_first(v_MHD, first, n, memory, tile[3]),
        attn_mask=mask,
        scale=scale,
    )
    out_QHD = out_QH1D.squeeze(2)
    return out_QHD.index_fill_(0, blind_Z, 0) if blind_Z.shape[0] else out_QHD


@cache
def products_win() -> bool:
    """Whether bf16 matrix products beat the fused kernel here: bf16 in hardware, no AMX."""
    return bool(torch.cpu._is_avx512_bf16_supported()) and not torch.cpu._is_amx_tile_supported()


def _heads_first(x_RHD: Tensor, first: int, n: int, distance: int, length: int) -> Tensor:
    """Return `length` rows of n requests, `distance` apart from row `first`, as [n, H, length, D].

    One strided view: each step of slicing and transposing would cost a decode a microsecond or two.
    """
    _, heads, width = x_RHD.shape
    row, head, feature = x_RHD.stride()
    return x_RHD.as_strided(
        (n, heads, length, width),
        (distance * row, head, row, feature),
        x_RHD.storage_offset() + first * row,
    )
