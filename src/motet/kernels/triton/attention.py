"""Ragged cross-attention on a GPU: prefill by tiles of queries, decode split over keys.

Prefill follows FlashAttention-2 (Dao, 2023): one program a tile of the plan's work list and head,
online softmax in base 2, sums in fp32. It reads keys up to the furthest that any of its queries
sees and no tile beyond. Decode follows Flash-Decoding (Dao et al., 2023): the keys of one query
are split over programs, whose results a second kernel merges by their log-sum-exp.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from motet.kernels.grouping import PlanTensors
from motet.kernels.triton.shared import must_widen, product
from motet.kernels.triton.tuning import MULTIPROCESSORS, tuned

LOG2_E = 1.4426950408889634

LEAST_KEYS, MOST_KEYS = 128, 1024
"""Bounds on the keys that one decode program reads. Few enough that the longest memory of a ragged
batch does not outlast the rest, at some 25 GB/s a multiprocessor: 1,024 keys of 64 in bf16 are
256 KB, 10 us. Many enough to repay a program's start and its part of the merge."""


def attend_triton(
    q_QHD: Tensor,
    k_MHD: Tensor,
    v_MHD: Tensor,
    bias_M: Tensor | None,
    plan: PlanTensors,
    scale: float,
) -> Tensor:
    """Attend on the GPU; arguments as `motet.kernels.cross_attention.attend`.

    Raises
    ------
    ValueError
        The dtype is wider than the fp32 that sums are kept in.
    """
    if q_QHD.dtype is torch.float64:
        raise ValueError("the triton kernels sum in float32, got float64; use reference or cpu")
    q_QHD, k_MHD, v_MHD = (
        x if x.stride(-1) == 1 else x.contiguous() for x in (q_QHD, k_MHD, v_MHD)
    )
    one_query = int(plan.buckets_G5[:, 2].max()) == 1  # on the host
    if one_query:
        return _decode(q_QHD, k_MHD, v_MHD, bias_M, plan, scale)
    return _prefill(q_QHD, k_MHD, v_MHD, bias_M, plan, scale)


def _prefill(
    q_QHD: Tensor,
    k_MHD: Tensor,
    v_MHD: Tensor,
    bias_M: Tensor | None,
    plan: PlanTensors,
    scale: float,
) -> Tensor:
    heads, width = q_QHD.shape[1:]
    out_QHD = torch.zeros(q_QHD.shape, dtype=q_QHD.dtype, device=q_QHD.device)
    _prefill_kernel[(len(plan.work_W4), heads)](
        q_QHD,
        k_MHD,
        v_MHD,
        q_QHD if bias_M is None else bias_M,
        out_QHD,
        plan.visible_Q,
        plan.work_W4,
        *q_QHD.stride()[:2],
        *k_MHD.stride()[:2],
        *v_MHD.stride()[:2],
        *out_QHD.stride()[:2],
        scale * LOG2_E,
        WIDTH=width,
        BLOCK_D=max(16, triton.next_power_of_2(width)),
        BLOCK_Q=max(16, plan.query_tile),
        WIDEN=must_widen(q_QHD),
        HAS_BIAS=bias_M is not None,
    )
    return out_QHD


def _decode(
    q_QHD: Tensor,
    k_MHD: Tensor,
    v_MHD: Tensor,
    bias_M: Tensor | None,
    plan: PlanTensors,
    scale: float,
) -> Tensor:
    rows, heads, width = q_QHD.shape
    most = int(plan.buckets_G5[:, 4].max())  # on the host
    # Some four programs a multiprocessor, however few the rows are and however unlike.
    even = triton.next_power_of_2(triton.cdiv(len(k_MHD) * heads, 4 * MULTIPROCESSORS))
    keys = min(max(even, LEAST_KEYS), MOST_KEYS)
    splits = max(1, triton.cdiv(most, keys))
    part_QHSD = torch.empty(rows, heads, splits, width, dtype=torch.float32, device=q_QHD.device)
    lse_QHS = torch.empty(rows, heads, splits, dtype=torch.float32, device=q_QHD.device)
    out_QHD = torch.empty(q_QHD.shape, dtype=q_QHD.dtype, device=q_QHD.device)
    block_d = triton.next_power_of_2(width)
    _decode_kernel[(rows, heads, splits)](
        q_QHD,
        k_MHD,
        v_MHD,
        q_QHD if bias_M is None else bias_M,
        part_QHSD,
        lse_QHS,
        plan.visible_Q,
        plan.key_start_Q,
        *q_QHD.stride()[:2],
        *k_MHD.stride()[:2],
        *v_MHD.stride()[:2],
        scale * LOG2_E,
        keys,
        splits,
        WIDTH=width,
        BLOCK_D=block_d,
        HAS_BIAS=bias_M is not None,
    )
    _merge_kernel[(rows, heads)](
        part_QHSD,
        lse_QHS,
        out_QHD,
        plan.visible_Q,
        keys,
        splits,
        WIDTH=width,
        BLOCK_D=block_d,
        BLOCK_S=triton.next_power_of_2(splits),
    )
    return out_QHD


@tuned("prefill", key=("WIDTH", "BLOCK_Q", "HAS_BIAS"), operand="q")
@triton.jit
def _prefill_kernel(
    q,
    k,
    v,
    bias,
    out,
    visible,
    work,
    q_row,
    q_head,
    k_row,
    k_head,
    v_row,
    v_head,
    out_row,
    out_head,
    scale_log2,
    WIDTH: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_Q: tl.constexpr,
    WIDEN: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    item = tl.program_id(0)
    head = tl.program_id(1)
    row = tl.load(work + item * 4).to(tl.int64)
    count = tl.load(work + item * 4 + 1)
    key = tl.load(work + item * 4 + 2).to(tl.int64)
    most = tl.load(work + item * 4 + 3)
    if count == 0:
        return
    t = tl.arange(0, BLOCK_Q)
    d = tl.arange(0, BLOCK_D)
    real_TD = (t[:, None] < count) & (d[None, :] < WIDTH)
    q_TD = tl.load(
        q + (row + t[:, None]) * q_row + head * q_head + d[None, :], mask=real_TD, other=0.0
    )
    seen_T = tl.load(visible + row + t, mask=t < count, other=0)
    top_T = tl.full([BLOCK_Q], float("-inf"), tl.float32)
    sum_T = tl.zeros([BLOCK_Q], tl.float32)
    acc_TD = tl.zeros([BLOCK_Q, BLOCK_D], tl.float32)
    for start in range(0, most, BLOCK_K):
        j = start + tl.arange(0, BLOCK_K)
        real_KD = (j[:, None] < most) & (d[None, :] < WIDTH)
        k_KD = tl.load(
            k + (key + j[:, None]) * k_row + head * k_head + d[None, :], mask=real_KD, other=0.0
        )
        s_TK = product(q_TD, tl.trans(k_KD), WIDEN) * scale_log2
        if HAS_BIAS:
            bias_K = tl.load(bias + key + j, mask=j < most, other=0.0).to(tl.float32)
            s_TK += bias_K[None, :] * 1.4426950408889634
        s_TK = tl.where(j[None, :] < seen_T[:, None], s_TK, float("-inf"))
        new_T = tl.maximum(top_T, tl.max(s_TK, 1))
        # A row that has seen nothing yet keeps -inf; subtracting it from itself would give nan.
        safe_T = tl.where(new_T == float("-inf"), 0.0, new_T)
        p_TK = tl.exp2(s_TK - safe_T[:, None])
        old_T = tl.exp2(top_T - safe_T)
        v_KD = tl.load(
            v + (key + j[:, None]) * v_row + head * v_head + d[None, :], mask=real_KD, other=0.0
        )
        sum_T = sum_T * old_T + tl.sum(p_TK, 1)
        acc_TD = acc_TD * old_T[:, None]
        acc_TD += product(p_TK.to(v_KD.dtype), v_KD, WIDEN)
        top_T = new_T
    acc_TD = acc_TD / tl.where(sum_T == 0.0, 1.0, sum_T)[:, None]
    tl.store(
        out + (row + t[:, None]) * out_row + head * out_head + d[None, :],
        acc_TD.to(out.dtype.element_ty),
        mask=real_TD,
    )


# Every batch has splits of its own: compiled for a number of them, decoding would stop for each.
@tuned("decode", key=("WIDTH", "HAS_BIAS"))
@triton.jit(do_not_specialize=["splits"])
def _decode_kernel(
    q,
    k,
    v,
    bias,
    part,
    lse,
    visible,
    key_start,
    q_row,
    q_head,
    k_row,
    k_head,
    v_row,
    v_head,
    scale_log2,
    keys,
    splits,
    WIDTH: tl.constexpr,
    BLOCK_D: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1)
    split = tl.program_id(2)
    n_keys = tl.load(visible + row)
    key = tl.load(key_start + row).to(tl.int64)
    part_keys = keys_a_split(n_keys, keys, splits)
    first = split * part_keys
    last = tl.minimum(first + part_keys, n_keys)
    if first >= last:
        return
    d = tl.arange(0, BLOCK_D)
    q_D = tl.load(q + row * q_row + head * q_head + d, mask=d < WIDTH, other=0.0).to(tl.float32)
    top = tl.full([1], float("-inf"), tl.float32)
    total = tl.zeros([1], tl.float32)
    acc_D = tl.zeros([BLOCK_D], tl.float32)
    for start in range(first, last, BLOCK_K):
        j = start + tl.arange(0, BLOCK_K)
        real_KD = (j[:, None] < last) & (d[None, :] < WIDTH)
        k_KD = tl.load(
            k + (key + j[:, None]) * k_row + head * k_head + d[None, :], mask=real_KD, other=0.0
        )
        # One query a head fills no tensor core: the step is bound by reading keys and values.
        s_K = tl.sum(k_KD.to(tl.float32) * q_D[None, :], 1) * scale_log2
        if HAS_BIAS:
            bias_K = tl.load(bias + key + j, mask=j < last, other=0.0).to(tl.float32)
            s_K += bias_K * 1.4426950408889634
        s_K = tl.where(j < last, s_K, float("-inf"))
        new = tl.maximum(top, tl.max(s_K, 0))
        p_K = tl.exp2(s_K - new)
        old = tl.exp2(top - new)
        v_KD = tl.load(
            v + (key + j[:, None]) * v_row + head * v_head + d[None, :], mask=real_KD, other=0.0
        )
        total = total * old + tl.sum(p_K, 0)
        acc_D = acc_D * old + tl.sum(p_K[:, None] * v_KD.to(tl.float32), 0)
        top = new
    where = (row * tl.num_programs(1) + head) * splits + split
    tl.store(part + where * WIDTH + d, acc_D / total, mask=d < WIDTH)
    tl.store(lse + where + tl.arange(0, 1), top + tl.log2(total))


@triton.jit
def keys_a_split(n_keys, keys, splits):
    """Return the keys of each split: as planned, or more where a replayed graph meets more."""
    return tl.maximum(keys, tl.cdiv(n_keys, splits))


@triton.jit(do_not_specialize=["splits"])
def _merge_kernel(
    part,
    lse,
    out,
    visible,
    keys,
    splits,
    WIDTH: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_S: tl.constexpr,
):
    where = tl.program_id(0).to(tl.int64) * tl.num_programs(1) + tl.program_id(1)
    s = tl.arange(0, BLOCK_S)
    d = tl.arange(0, BLOCK_D)
    # The splits that hold keys have written; the others left at once, and weigh nothing.
    n_keys = tl.load(visible + tl.program_id(0))
    written = tl.cdiv(n_keys, keys_a_split(n_keys, keys, splits))
    lse_S = tl.load(lse + where * splits + s, mask=s < written, other=float("-inf"))
    top = tl.max(lse_S, 0)
    weight_S = tl.exp2(lse_S - tl.where(top == float("-inf"), 0.0, top))
    total = tl.sum(weight_S, 0)
    part_SD = tl.load(
        part + (where * splits + s[:, None]) * WIDTH + d[None, :],
        mask=(s[:, None] < written) & (d[None, :] < WIDTH),
        other=0.0,
    )
    out_D = tl.sum(part_SD * weight_S[:, None], 0) / tl.where(total == 0.0, 1.0, total)
    tl.store(out + where * WIDTH + d, out_D.to(out.dtype.element_ty), mask=d < WIDTH)
