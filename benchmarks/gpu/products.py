"""Grouped products of experts of unlike widths, on a device, with what they should be."""

from __future__ import annotations

from typing import Any

import torch
from tests.kernels.latent_oracle import make_fusions
from torch import Tensor

from motet.kernels import GroupingPlan, project, project_back

SHAPE = [(150, [140, 9]), (3, [0, 65]), (36, [1])]
ALIGNED, ODD = (64, 1, 272, 128), (17, 64, 1, 45)
"""Hidden sizes; 1 is that of nobody in a fusion."""


class Products:
    """Hidden states and weights to project, and packed rows to project back."""

    def __init__(self, dtype: torch.dtype, aligned: bool, seed: int, device: str) -> None:
        generator = torch.Generator().manual_seed(seed)
        widths, packed = (ALIGNED, 96) if aligned else (ODD, 40)
        self.plan = GroupingPlan.build(make_fusions(SHAPE, 4, seed), experts=4, device=device)

        def normal(rows: int, columns: int) -> Tensor:
            return torch.randn(rows, columns, generator=generator).to(device, dtype)

        self.asked = [normal(n, d) for n, d in zip(self.plan.memory.counts, widths, strict=True)]
        self.asking = [normal(n, d) for n, d in zip(self.plan.queries.counts, widths, strict=True)]
        self.into = [normal(d, packed) / d**0.5 for d in widths]
        self.back = [normal(packed, d) / packed**0.5 for d in widths]
        self.biases = [normal(1, packed)[0] for _ in widths]
        self.fused = normal(self.plan.queries.n_rows, packed)
        self.gates = torch.tensor([0.5, 0.0, -1.0, 2.0], device=device)

    def run(self, name: str, implementation: Any) -> Tensor:
        """Return the result of `projection` or `back_projection`, as one vector."""
        if name == "projection":
            return project(
                self.asked,
                self.into,
                self.plan.memory,
                biases=self.biases,
                implementation=implementation,
            ).flatten()
        states = project_back(
            self.asking,
            self.fused,
            self.back,
            self.gates,
            self.plan.queries,
            implementation=implementation,
        )
        return torch.cat([state.flatten() for state in states])

    def exactly(self, name: str) -> Tensor:
        """Return the same of the reference, from these numbers in fp64."""
        return self._as(torch.float64).run(name, "reference")

    def closed_gate_is_identity(self, states: Tensor) -> bool:
        """Whether the states of the expert whose gate is 0 come back to the bit."""
        sizes = [x.numel() for x in self.asking]
        return bool(torch.equal(states.split(sizes)[1], self.asking[1].flatten()))

    def gradients(self, implementation: Any) -> Tensor:
        """Return the gradients of all inputs, those of the reference in fp64."""
        made = self._as(torch.float64) if implementation == "reference" else self
        leaves = [*made.asked, *made.into, *made.biases, *made.asking, made.fused, *made.back]
        leaves.append(made.gates)
        for leaf in leaves:
            leaf.requires_grad_()
        for name in ("projection", "back_projection"):
            made.run(name, implementation).sin().sum().backward()
        gradients = torch.cat([leaf.grad.flatten().double() for leaf in leaves])
        for leaf in leaves:
            leaf.grad = None
            leaf.requires_grad_(False)
        return gradients

    def _as(self, dtype: torch.dtype) -> Products:
        other = object.__new__(Products)
        other.plan = self.plan
        for name, value in vars(self).items():
            if isinstance(value, list):
                setattr(other, name, [x.to(dtype) for x in value])
            elif isinstance(value, Tensor):
                setattr(other, name, value.to(dtype))
        return other
