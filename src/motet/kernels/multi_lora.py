"""Low-rank adapters of many kinds in one batch, as two dense products a layer.

    y_T += sum over slots s of  [slot_T = s] * scale * (x_T A_s^T) B_s^T

Serving kernels for GPUs gather each token's A and B (Chen et al. 2023, "Punica"). On a CPU that
gather is the cost: a token's A and B are read from memory for that token alone. Here the A of all
slots are one matrix and every token is multiplied by all of it, then what belongs to other slots
is set to zero: with S slots of rank R this reads the adapters once for the whole batch, for S * R
multiplications where R would do. With S * R far below the hidden size that is little beside the
layer's own product.

Shapes: T tokens, K inputs, N outputs, C columns: the ranks of all slots, side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Slice:
    """Adapters of one part of a layer's output, such as the keys of a fused projection.

    Attributes
    ----------
    columns
        Where its columns stand in the stack.
    b_CN
        `[C, N]`, the rows of every slot's B, transposed.
    """

    columns: slice
    b_CN: Tensor  # shape suffixes


@dataclass(frozen=True, slots=True)
class AdapterStack:
    """The adapters of one layer, all slots and slices side by side.

    Attributes
    ----------
    a_CK
        `[C, K]`, the A of every slot.
    slot_C
        `[C]` int64, whose column it is.
    slices
        For each part of the output, in order; None where no adapter touches it.
    """

    a_CK: Tensor
    slot_C: Tensor
    slices: tuple[Slice | None, ...]


def stack(a: Sequence[Tensor], b: Sequence[Tensor]) -> AdapterStack | None:
    """Return the adapters of one layer, without the ranks and slots that are all zero.

    Parameters
    ----------
    a
        For each slice of the output `[slots, rank, K]`.
    b
        For each slice of the output `[slots, N, rank]`.

    Returns
    -------
    None when no adapter changes the layer.
    """
    rows: list[Tensor] = []
    owners: list[Tensor] = []
    slices: list[Slice | None] = []
    start = 0
    for a_SRK, b_SNR in zip(a, b, strict=True):
        # A rank counts only where both of its vectors do.
        used_SR = a_SRK.ne(0).any(dim=2) & b_SNR.ne(0).any(dim=1)
        slot, rank = used_SR.nonzero(as_tuple=True)
        if not len(slot):
            slices.append(None)
            continue
        rows.append(a_SRK[slot, rank])
        owners.append(slot)
        slices.append(Slice(slice(start, start + len(slot)), b_SNR[slot, :, rank].contiguous()))
        start += len(slot)
    if not rows:
        return None
    return AdapterStack(torch.cat(rows), torch.cat(owners), tuple(slices))


def add(
    y_TN: Tensor,
    x_TK: Tensor,
    stacked: AdapterStack,
    slot_T: Tensor,
    widths: Sequence[int],
    scale: float = 1.0,
) -> None:
    """Add to `y_TN`, in place, what each token's adapter makes of `x_TK`.

    Parameters
    ----------
    slot_T
        `[T]` int64, each token's slot; -1 for none.
    widths
        N of each slice; slices stand side by side in `y_TN`.
    """
    h_TC = x_TK @ stacked.a_CK.T
    own_TC = slot_T.unsqueeze(1) == stacked.slot_C
    # where, not a product: an infinite value of one adapter must not become another's NaN.
    h_TC = torch.where(own_TC, h_TC, 0)
    if scale != 1.0:
        h_TC *= scale
    start = 0
    for part, width in zip(stacked.slices, widths, strict=True):
        if part is not None:
            y_TN[:, start : start + width] += h_TC[:, part.columns] @ part.b_CN
        start += width


def add_reference(
    y_TN: Tensor,
    x_TK: Tensor,
    a: Sequence[Tensor],
    b: Sequence[Tensor],
    slot_T: Tensor,
    widths: Sequence[int],
    scale: float = 1.0,
) -> None:
    """Do what `stack` and `add` do, token by token, in the wider of float32 and the dtype."""
    for token, slot in enumerate(slot_T.tolist()):
        if slot < 0:
            continue
        start = 0
        x_K = x_TK[token].to(torch.promote_types(x_TK.dtype, torch.float32))
        for a_SRK, b_SNR, width in zip(a, b, widths, strict=True):
            h_R = a_SRK[slot].to(x_K.dtype) @ x_K * scale
            change_N = b_SNR[slot].to(x_K.dtype) @ h_R
            y_TN[token, start : start + width] += change_N.to(y_TN.dtype)
            start += width
