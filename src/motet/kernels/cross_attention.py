"""Ragged cross-attention: the queries of every primary over the latents of its peers.

For a query i of head h and the keys j of its request that it may see,

    out_i = sum_j w_j v_j,   w = softmax_j(scale * q_i . k_j + log_weight[peer of j]),

and zero where it may see none. A key is visible where its token's byte end is not after the
query's; the plan has turned that into a prefix of the request's keys.

References: MoT, Mixture of Thoughts (latent cross-attention between stacks of frozen experts);
Dao, FlashAttention-2 (2023), for the online softmax; Dao et al., Flash-Decoding (2023), for the
split over keys when one query asks.

Shape suffixes: Q packed query rows, M packed memory rows, P pairs of a request and one peer,
H heads, D head width, T queries of one request, K its keys.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from motet.kernels.backward import attend_backward
from motet.kernels.cpu import attend_cpu
from motet.kernels.cpu_calls import CpuInputs, cpu_work
from motet.kernels.dispatch import Implementation, choose, needs_operator
from motet.kernels.grouping import GroupingPlan, PlanTensors
from motet.kernels.masks import Masks


def attend(
    q_QHD: Tensor,
    k_MHD: Tensor,
    v_MHD: Tensor,
    plan: GroupingPlan,
    *,
    log_weight_M: Tensor | None = None,
    scale: float | None = None,
    implementation: Implementation | None = None,
) -> Tensor:
    """Let every request's queries attend to its peers' memory.

    Parameters
    ----------
    q_QHD
        Queries in packed rows, as `project` with `plan.queries` writes them.
    k_MHD, v_MHD
        Keys and values in packed rows, as `project` with `plan.memory` writes them; views of one
        tensor will do. Dtype and device of `q_QHD`: bf16, fp16, fp32 or fp64.
    plan
        The batch's plan. A decode plan (`GroupingPlan.decode`) is one query a request.
    log_weight_M
        Log of the weight of each memory row's peer, from `plan.per_key`; the router's gradient
        flows through it. None weighs all peers alike.
    scale
        Factor on the scores; None is 1 / sqrt(D).
    implementation
        None chooses by device: `triton` on a GPU, `cpu` elsewhere.

    Returns
    -------
    Tensor
        [Q, H, D] in the dtype of the queries. Rows that see nothing are zero, padding included.

    Raises
    ------
    ValueError
        A shape or dtype disagrees with the plan or with the queries.
    """
    _check(q_QHD, k_MHD, v_MHD, plan, log_weight_M)
    implementation = choose(implementation, q_QHD)
    scale = 1 / math.sqrt(q_QHD.shape[2]) if scale is None else scale
    if implementation == "reference":
        return attend_reference(q_QHD, k_MHD, v_MHD, log_weight_M, plan, scale)
    inputs = q_QHD, k_MHD, v_MHD, log_weight_M
    operator = needs_operator(*inputs)
    if implementation == "cpu" and not operator:
        on_cpu = CpuInputs(*inputs, plan.visible_Q, scale)
        return attend_cpu(on_cpu, plan.blind_Z, plan.cpu_work, plan.masks)
    call = _operator if operator else _run
    out_QHD: Tensor = call(*inputs, *plan.tensors, scale, implementation)
    return out_QHD


def attend_reference(
    q_QHD: Tensor,
    k_MHD: Tensor,
    v_MHD: Tensor,
    bias_M: Tensor | None,
    plan: GroupingPlan,
    scale: float,
) -> Tensor:
    """Attend request by request, as the formula reads; half precision is computed in fp32."""
    wide = torch.promote_types(q_QHD.dtype, torch.float32)
    outputs, rows = [], []
    for b in range(len(plan.query_lengths)):
        asking, asked = plan.rows_of(b)
        q_THD, k_KHD, v_KHD = (x.to(wide) for x in (q_QHD[asking], k_MHD[asked], v_MHD[asked]))
        scores_HTK = torch.einsum("thd,khd->htk", q_THD, k_KHD) * scale
        if bias_M is not None:
            scores_HTK = scores_HTK + bias_M[asked].to(wide)
        keys_K = torch.arange(len(k_KHD), device=q_QHD.device)
        hidden_TK = keys_K >= plan.visible_Q[asking, None]
        if len(k_KHD):
            scores_HTK = scores_HTK.masked_fill(hidden_TK, torch.finfo(wide).min)
        weights_HTK = scores_HTK.softmax(-1).masked_fill(hidden_TK, 0)
        outputs.append(torch.einsum("htk,khd->thd", weights_HTK, v_KHD))
        rows.append(torch.arange(asking.start, asking.stop, device=q_QHD.device))
    out_QHD = torch.zeros(q_QHD.shape, dtype=wide, device=q_QHD.device)
    return out_QHD.index_copy(0, torch.cat(rows), torch.cat(outputs)).to(q_QHD.dtype)


def _run(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    visible: Tensor,
    key_start: Tensor,
    blind: Tensor,
    work: Tensor,
    buckets: Tensor,
    tiles: Tensor,
    query_tile: int,
    scale: float,
    implementation: str,
) -> Tensor:
    if implementation == "triton":
        from motet.kernels.triton.attention import attend_triton

        plan = PlanTensors(visible, key_start, blind, work, buckets, tiles, query_tile)
        return attend_triton(q, k, v, bias, plan, scale)
    on_cpu = CpuInputs(q, k, v, bias, visible, scale)
    return attend_cpu(on_cpu, blind, cpu_work(buckets, tiles), Masks())


def _run_backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    visible: Tensor,
    key_start: Tensor,
    blind: Tensor,
    work: Tensor,
    buckets: Tensor,
    tiles: Tensor,
    query_tile: int,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    plan = PlanTensors(visible, key_start, blind, work, buckets, tiles, query_tile)
    return attend_backward(grad, q, k, v, bias, plan, scale)


def _fake(q: Tensor, *_: object) -> Tensor:
    return q.new_empty(q.shape)


def _fake_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, *_: object
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    dbias = q.new_empty(0) if bias is None else bias.new_empty(bias.shape)
    return q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape), dbias


def _save(ctx: Any, inputs: tuple[Any, ...], output: object) -> None:
    *tensors, query_tile, scale, _ = inputs
    ctx.save_for_backward(*tensors)
    ctx.settings = query_tile, scale


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    tensors = ctx.saved_tensors
    dq, dk, dv, dbias = _backward_operator(
        grad,
        *tensors,
        *ctx.settings,
    )
    return dq, dk, dv, None if tensors[3] is None else dbias, *[None] * 9


_operator = torch.library.custom_op("motet::cross_attention", _run, mutates_args=())
_operator.register_fake(_fake)
_backward_operator = torch.library.custom_op(
    "motet::cross_attention_backward", _run_backward, mutates_args=()
)
_backward_operator.register_fake(_fake_backward)
_operator.register_autograd(_backward, setup_context=_save)


def _check(
    q_QHD: Tensor, k_MHD: Tensor, v_MHD: Tensor, plan: GroupingPlan, log_weight_M: Tensor | None
) -> None:
    rest = q_QHD.shape[1:]
    memory_shape = (plan.memory.n_rows, *rest)
    if (
        len(rest) == 2
        and q_QHD.shape[0] == plan.queries.n_rows
        and k_MHD.shape == v_MHD.shape == memory_shape
        and q_QHD.dtype == k_MHD.dtype == v_MHD.dtype
        and (log_weight_M is None or log_weight_M.shape == k_MHD.shape[:1])
    ):
        return
    for name, x, rows, kind in (
        ("q", q_QHD, plan.queries.n_rows, "query"),
        ("k", k_MHD, plan.memory.n_rows, "memory"),
        ("v", v_MHD, plan.memory.n_rows, "memory"),
    ):
        if x.ndim != 3:
            raise ValueError(f"{name} is [rows, heads, head width], got shape {tuple(x.shape)}")
        if x.shape[0] != rows:
            raise ValueError(f"{name} has {x.shape[0]} rows, but the plan has {rows} {kind} rows")
        if x.shape[1:] != q_QHD.shape[1:]:
            raise ValueError(
                f"{name} has {tuple(x.shape[1:])} heads and head width, "
                f"but q has {tuple(q_QHD.shape[1:])}"
            )
        if x.dtype != q_QHD.dtype:
            raise ValueError(f"{name} is {x.dtype}, but q is {q_QHD.dtype}")
    if log_weight_M is not None and tuple(log_weight_M.shape) != (plan.memory.n_rows,):
        raise ValueError(
            f"log_weight has shape {tuple(log_weight_M.shape)}, but the plan has "
            f"{plan.memory.n_rows} memory rows; `plan.per_key` spreads the weights of peers"
        )
