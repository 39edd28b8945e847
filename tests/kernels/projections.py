"""Hidden states, weights and packed rows to project, for experts of different widths."""

import torch
from tests.kernels.latent_oracle import TOLERANCE, make_fusions

from motet.kernels import GroupingPlan

WIDTHS = (12, 7, 33, 16)
IMPLEMENTATIONS = ("reference", "cpu")
PACKED = 10


def planned():
    # Expert 3 leads no request, so it has no query tokens.
    return GroupingPlan.build(make_fusions([(5, [4, 3]), (9, []), (2, [6, 0, 1])], 4), experts=4)


def inputs(grouping, dtype=torch.float64, seed=0, back=False):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    hidden = [normal(n, d) for n, d in zip(grouping.counts, WIDTHS, strict=True)]
    weights = [normal(PACKED, d) if back else normal(d, PACKED) for d in WIDTHS]
    return hidden, weights, [normal(PACKED) for _ in WIDTHS], normal(grouping.n_rows, PACKED)


def near(got, wanted, dtype):
    relative, absolute = TOLERANCE[dtype]
    scale = 1 + float(wanted.abs().max()) if wanted.numel() else 1.0
    torch.testing.assert_close(got.double(), wanted.double(), rtol=relative, atol=absolute * scale)
