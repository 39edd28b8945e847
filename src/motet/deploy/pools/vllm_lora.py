"""Many adapters on one vLLM engine of a CPU, with Motet's kernel instead of vLLM's gather.

vLLM 0.32 gathers each token's adapter in float32 on a CPU, and gives tokens without an adapter
that of the last slot.
"""

from __future__ import annotations

from typing import Any

import torch
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU

from motet.kernels.multi_lora import AdapterStack, add, stack

_ABSENT = object()


class StackedAdapters(PunicaWrapperCPU):  # type: ignore[misc]  # vLLM is not typed for us
    """vLLM's seam for adapters: keeps each layer's adapters stacked while their slots stay."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stacks: dict[int, AdapterStack | None] = {}
        self._slots: list[int | None] = []
        self._any_adapter = False

    def update_metadata(
        self, mapping: Any, lora_index_to_id: list[int | None], *args: Any, **kwargs: Any
    ) -> None:
        """Take the batch's mapping; forget the stacks when another adapter has a slot."""
        super().update_metadata(mapping, lora_index_to_id, *args, **kwargs)
        if self._slots != lora_index_to_id:
            self._slots = list(lora_index_to_id)
            self._stacks.clear()
        self._any_adapter = bool((self.token_lora_indices >= 0).any())

    def add_lora_linear(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: tuple[torch.Tensor, ...],
        lora_b_stacked: tuple[torch.Tensor, ...],
        scale: float,
        output_slices: tuple[int, ...],
        **_: Any,
    ) -> None:
        """Add what each token's adapter makes of `x` to `y`, in place."""
        self._add(
            y, x, lora_a_stacked, lora_b_stacked, self.token_lora_indices, scale, output_slices
        )

    def add_lora_logits(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: torch.Tensor,
        lora_b_stacked: torch.Tensor,
        scale: float,
        **_: Any,
    ) -> None:
        """Add what each token's adapter makes of `x` to the logits `y`, in place."""
        slots, width = self.sampler_indices, lora_b_stacked.shape[-2]
        self._add(y, x, (lora_a_stacked,), (lora_b_stacked,), slots, scale, (width,))

    def _add(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        a: tuple[torch.Tensor, ...],
        b: tuple[torch.Tensor, ...],
        slots: torch.Tensor,
        scale: float,
        widths: tuple[int, ...],
    ) -> None:
        if not self._any_adapter:
            return
        key = a[0].data_ptr()
        stacked: Any = self._stacks.get(key, _ABSENT)
        if stacked is _ABSENT:
            # vLLM's stacks have a dimension of 1 after the slots.
            stacked = stack([part.squeeze(1) for part in a], [part.squeeze(1) for part in b])
            self._stacks[key] = stacked
        if stacked is not None:
            x = x.view(-1, x.shape[-1])
            add(y.view(-1, y.shape[-1]), x, stacked, slots[: x.shape[0]], widths, scale)
