"""Back-projection: through a gate, which is shut to the bit and learns all the same."""

import pytest
import torch
from tests.kernels.latent_oracle import DTYPES
from tests.kernels.projections import IMPLEMENTATIONS, inputs, near, planned

from motet.kernels import project_back


@pytest.fixture
def plan():
    return planned()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_projects_back_through_the_gate(plan, implementation, dtype):
    hidden, weights, _, fused = inputs(plan.queries, dtype, back=True)
    gates = torch.tensor([0.3, -1.2, 0.0, 2.0], dtype=dtype)
    out = project_back(hidden, fused, weights, gates, plan.queries, implementation=implementation)
    rows = plan.queries.rows_N.split(plan.queries.counts)
    for got, h, w, gate, row in zip(out, hidden, weights, gates, rows, strict=True):
        near(got, h.double() + gate.double().tanh() * (fused[row].double() @ w.double()), dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_closed_gate_is_the_identity_to_the_bit(plan, implementation, dtype):
    hidden, weights, _, fused = inputs(plan.queries, dtype, back=True)
    hidden[0][0, :2] = torch.tensor([-0.0, 0.0])
    fused[plan.queries.rows_N[0]] = torch.nan
    out = project_back(
        hidden, fused, weights, torch.zeros(4), plan.queries, implementation=implementation
    )
    bits = torch.int16 if dtype is torch.bfloat16 else torch.int64
    for got, h in zip(out, hidden, strict=True):
        if dtype is torch.float32:
            bits = torch.int32
        assert torch.equal(got.view(bits), h.view(bits))


def test_a_closed_gate_still_learns(plan):
    hidden, weights, _, fused = inputs(plan.queries, back=True)
    gates = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    out = project_back(hidden, fused, weights, gates, plan.queries)
    sum((x**2).sum() for x in out).backward()
    assert (gates.grad[:3] != 0).all()
    assert gates.grad[3] == 0  # no tokens


@pytest.mark.parametrize("gate", [0.0, 0.4])
def test_gradients_of_the_back_projection(plan, gate):
    hidden, weights, _, fused = inputs(plan.queries, back=True)
    gates = torch.full((4,), gate, dtype=torch.float64)
    leaves = [x.requires_grad_() for x in (*hidden, fused, *weights, gates)]
    out = project_back(leaves[:4], leaves[4], leaves[5:9], leaves[9], plan.queries)
    got = torch.autograd.grad(sum(x.sin().sum() for x in out), leaves)
    rows = plan.queries.rows_N.split(plan.queries.counts)
    plain = [
        h + g.tanh() * (leaves[4][r] @ w)
        for h, g, r, w in zip(leaves[:4], leaves[9], rows, leaves[5:9], strict=True)
    ]
    wanted = torch.autograd.grad(sum(x.sin().sum() for x in plain), leaves)
    for a, b in zip(got, wanted, strict=True):
        near(a, b, torch.float64)


def test_operator_passes_opcheck(plan):
    hidden, weights, _, fused = inputs(plan.queries, torch.float32, back=True)
    for x in (*hidden, *weights, fused):
        x.requires_grad_()
    gates = torch.randn(4, requires_grad=True)
    args = (hidden, fused, weights, gates, plan.queries.rows_N, "cpu")
    torch.library.opcheck(torch.ops.motet.gated_back_projection.default, args)


def test_bad_arguments_are_named(plan):
    hidden, weights, _, fused = inputs(plan.queries)
    back = [w.T.contiguous() for w in weights]
    with pytest.raises(ValueError, match=r"fused has shape \(3, 10\), but the plan has"):
        project_back(hidden, fused[:3], back, torch.zeros(4), plan.queries)
    with pytest.raises(ValueError, match=r"gates have shape \(2,\) for 4 experts"):
        project_back(hidden, fused, back, torch.zeros(2), plan.queries)
    with pytest.raises(ValueError, match=r"expert 0: the weight is \(12, 10\)"):
        project_back(hidden, fused, weights, torch.zeros(4), plan.queries)
