"""Which implementation serves a call: by device, unless the caller names one."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from motet.wording import did_you_mean

Implementation = Literal["reference", "cpu", "triton"]
"""`reference` is the oracle, plain and differentiable by autograd; `cpu` and `triton` are fast."""


def choose(implementation: Implementation | None, tensor: Tensor) -> Implementation:
    """Return `implementation`, or the fast one for the device of `tensor` when it is None.

    Raises
    ------
    ValueError
        The name is not one of `Implementation`.
    """
    if implementation is None:
        return "triton" if tensor.is_cuda else "cpu"
    if implementation not in get_args(Implementation):
        hint = did_you_mean(implementation, get_args(Implementation))
        raise ValueError(f"there is no implementation {implementation!r}. {hint}")
    return implementation


def needs_operator(*tensors: Tensor | None) -> bool:
    """Whether a call must pass torch's dispatcher: for gradients, compilation or fake tensors.

    Otherwise the implementation is called directly, which saves tens of microseconds a call.
    """
    if torch.compiler.is_compiling():
        return True
    grad = torch.is_grad_enabled()
    for x in tensors:  # a generator would cost several microseconds
        if x is None:
            continue
        if type(x) not in (Tensor, torch.nn.Parameter) or (grad and x.requires_grad):
            return True
    return False
