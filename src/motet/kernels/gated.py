"""Grouped back-projection with a gated add: what fusion contributes to each primary's states.

For token n of primary e at packed row r,

    out_e[n] = hidden_e[n] + tanh(gate_e) * (fused[r] @ weight_e),

and exactly hidden_e[n], bit for bit, where gate_e is 0: a new fusion layer starts as the identity,
yet its gate has a gradient there (Flamingo's tanh gate, Alayrac et al., 2022).

Shape suffixes: E experts, N tokens, X packed width, Q packed query rows, F an expert's hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from motet.kernels.dispatch import Implementation, choose, needs_operator
from motet.kernels.grouping import Grouping
from motet.kernels.projection import check_experts


def project_back(
    hidden: Sequence[Tensor],
    fused_QX: Tensor,
    weights: Sequence[Tensor],
    gates_E: Tensor,
    grouping: Grouping,
    *,
    implementation: Implementation | None = None,
) -> list[Tensor]:
    """Add the gated projection of `fused_QX` to every primary's hidden states.

    Parameters
    ----------
    hidden
        One tensor [N_e, d_e] an expert, its query tokens in grouped order.
    fused_QX
        Attention's output with its heads flattened.
    weights
        One tensor [X, d_e] an expert.
    gates_E
        One gate an expert, before tanh.
    grouping
        `plan.queries`.
    implementation
        None chooses by device: `triton` on a GPU, `cpu` elsewhere.

    Returns
    -------
    list of Tensor
        New hidden states, shaped as `hidden`; the inputs are not changed.

    Raises
    ------
    ValueError
        The numbers of experts, tokens or features disagree.
    """
    check_experts(hidden, weights, grouping)
    if fused_QX.ndim != 2 or fused_QX.shape[0] != grouping.n_rows:
        raise ValueError(
            f"fused has shape {tuple(fused_QX.shape)}, but the plan has {grouping.n_rows} rows"
        )
    for e, (h_NF, w_XF) in enumerate(zip(hidden, weights, strict=True)):
        if tuple(w_XF.shape) != (fused_QX.shape[1], h_NF.shape[1]):
            raise ValueError(
                f"expert {e}: the weight is {tuple(w_XF.shape)}, but fused rows have "
                f"{fused_QX.shape[1]} features and hidden states {h_NF.shape[1]}"
            )
    if tuple(gates_E.shape) != (len(hidden),):
        raise ValueError(f"gates have shape {tuple(gates_E.shape)} for {len(hidden)} experts")
    implementation = choose(implementation, fused_QX)
    args = (list(hidden), fused_QX, list(weights), gates_E, grouping.rows_N)
    operator = implementation == "reference" or needs_operator(*hidden, fused_QX, *weights, gates_E)
    out: list[Tensor] = (_operator if operator else _run)(*args, implementation)
    return out


def _run(
    hidden: list[Tensor],
    fused: Tensor,
    weights: list[Tensor],
    gates: Tensor,
    rows: Tensor,
    implementation: str,
) -> list[Tensor]:
    if implementation == "triton":
        from motet.kernels.triton.gated import project_back_triton

        added: list[Tensor] = project_back_triton(hidden, fused, weights, gates, rows)
        return added
    wide = torch.promote_types(fused.dtype, torch.float32)
    exact = implementation == "reference"
    parts = fused.index_select(0, rows).split([len(h) for h in hidden])
    out = []
    for h, part, w, gate in zip(hidden, parts, weights, gates, strict=True):
        product = part.to(wide) @ w.to(wide) if exact else part @ w
        # In the gate's precision: h + g * x rounds once, and 0 * x must not turn -0 into 0.
        sum_ = torch.addcmul(h.to(wide), product.to(wide), torch.tanh(gate.to(wide))).to(h.dtype)
        out.append(torch.where(gate == 0, h, sum_))
    return out


def _fake(hidden: list[Tensor], *_: object) -> list[Tensor]:
    return [h.new_empty(h.shape) for h in hidden]


def _save(ctx: Any, inputs: tuple[Any, ...], output: object) -> None:
    hidden, fused, weights, gates, rows, _ = inputs
    ctx.counts = [len(h) for h in hidden]
    ctx.save_for_backward(*weights, fused, gates, rows)


def _backward(ctx: Any, grads: list[Tensor]) -> tuple[object, ...]:
    *weights, fused, gates, rows = ctx.saved_tensors
    parts = fused.index_select(0, rows).split(ctx.counts)
    opened = torch.tanh(gates)
    dparts, dweights, dgates = [], [], []
    for grad, part, w, gate in zip(grads, parts, weights, opened, strict=True):
        dpart = grad @ w.T
        dparts.append(dpart * gate.to(dpart.dtype))
        dweights.append(part.T @ grad * gate.to(grad.dtype))
        # <grad, part @ w> = <grad @ w^T, part>: no second product.
        dgates.append((dpart.to(gate.dtype) * part.to(gate.dtype)).sum() * (1 - gate * gate))
    dfused = torch.zeros_like(fused).index_copy_(0, rows, torch.cat(dparts))
    return list(grads), dfused, dweights, torch.stack(dgates), None, None


_operator = torch.library.custom_op("motet::gated_back_projection", _run, mutates_args=())
_operator.register_fake(_fake)
_operator.register_autograd(_backward, setup_context=_save)
