import pytest
import torch
from tests.kernels.latent_oracle import TOLERANCE, make_fusions

from motet.kernels import GroupingPlan, fold, project, project_back
from motet.kernels.gated import _operator as gated_operator
from motet.kernels.projection import _operator as projection_operator

WIDTHS = (12, 7, 33, 16)
IMPLEMENTATIONS = ("reference", "cpu")
DTYPES = (torch.float64, torch.float32, torch.bfloat16)
PACKED = 10


@pytest.fixture
def plan():
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


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("biased", [False, True])
def test_projects_every_token_to_its_row(plan, implementation, dtype, biased):
    hidden, weights, biases, _ = inputs(plan.memory, dtype)
    packed = project(
        hidden,
        weights,
        plan.memory,
        biases=biases if biased else None,
        implementation=implementation,
    )
    wanted = torch.zeros(plan.memory.n_rows, PACKED, dtype=torch.float64)
    n = 0
    for h, w, b in zip(hidden, weights, biases, strict=True):
        for token in h.double():
            wanted[plan.memory.rows_N[n]] = token @ w.double() + (b.double() if biased else 0)
            n += 1
    assert packed.dtype == dtype
    near(packed, wanted, dtype)


def test_padding_rows_are_zero():
    plan = GroupingPlan.build(make_fusions([(1, [40]), (1, [37]), (1, [36])], 4), experts=4)
    assert plan.memory.n_rows > sum(plan.memory_lengths)
    hidden, weights, _, _ = inputs(plan.memory)
    packed = project(hidden, weights, plan.memory)
    padding = torch.ones(plan.memory.n_rows, dtype=torch.bool)
    padding[plan.memory.rows_N] = False
    assert not packed[padding].any()


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


@pytest.mark.parametrize("biased", [False, True])
def test_gradcheck_of_the_projection(plan, biased):
    hidden, weights, biases, _ = inputs(plan.memory)
    leaves = [x.requires_grad_() for x in (*hidden, *weights, *(biases if biased else ()))]
    assert torch.autograd.gradcheck(
        lambda *x: project(x[:4], x[4:8], plan.memory, biases=x[8:] if biased else None), leaves
    )


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


def test_folded_weights_are_exact():
    first, second = torch.randn(33, 12).double(), torch.randn(12, 20).double()
    bias, x = torch.randn(12).double(), torch.randn(9, 33).double()
    weight, folded_bias = fold(first, second, bias)
    near(x @ weight + folded_bias, (x @ first + bias) @ second, torch.float64)
    assert fold(first, second)[1] is None
    whole = torch.randint(-8, 8, (33, 12)).double(), torch.randint(-8, 8, (12, 20)).double()
    tokens = torch.randint(-8, 8, (9, 33)).double()
    assert torch.equal(tokens @ fold(*whole)[0], tokens @ whole[0] @ whole[1])


def test_folding_keys_and_values_changes_no_projection(plan):
    hidden, weights, biases, _ = inputs(plan.memory)
    keys_values = torch.randn(PACKED, 2 * PACKED, dtype=torch.float64)
    folded = [fold(w, keys_values, b) for w, b in zip(weights, biases, strict=True)]
    got = project(hidden, [w for w, _ in folded], plan.memory, biases=[b for _, b in folded])
    wanted = project(hidden, weights, plan.memory, biases=biases) @ keys_values
    near(got[plan.memory.rows_N], wanted[plan.memory.rows_N], torch.float64)


def test_rows_of_whole_kilobytes_lie_a_line_further_apart(plan):
    hidden = inputs(plan.memory, torch.float32)[0]
    weights = [torch.randn(d, 256) for d in WIDTHS]
    packed = project(hidden, weights, plan.memory)
    assert packed.stride() == (256 + 16, 1)
    near(packed, project(hidden, weights, plan.memory, implementation="reference"), torch.float32)
    args = (hidden, weights, [], plan.memory.rows_N, plan.memory.n_rows, "cpu")
    torch.library.opcheck(projection_operator, args)


def test_operators_pass_opcheck(plan):
    hidden, weights, biases, _ = inputs(plan.memory, torch.float32)
    args = (hidden, weights, biases, plan.memory.rows_N, plan.memory.n_rows, "cpu")
    torch.library.opcheck(projection_operator, args)
    hidden, weights, _, fused = inputs(plan.queries, torch.float32, back=True)
    for x in (*hidden, *weights, fused):
        x.requires_grad_()
    gates = torch.randn(4, requires_grad=True)
    args = (hidden, fused, weights, gates, plan.queries.rows_N, "cpu")
    torch.library.opcheck(gated_operator, args)


@pytest.mark.filterwarnings("default")  # of the compiler, not ours
def test_compiles_without_a_graph_break(plan):
    hidden, weights, _, _ = inputs(plan.queries, torch.float32)
    back = [w.T.contiguous() for w in weights]
    gates = torch.full((4,), 0.5)

    def layer(hidden, weights, back, gates):
        packed = project(hidden, weights, plan.queries)
        return project_back(hidden, packed.relu(), back, gates, plan.queries)

    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    got, wanted = compiled(hidden, weights, back, gates), layer(hidden, weights, back, gates)
    for a, b in zip(got, wanted, strict=True):
        near(a, b, torch.float32)


@pytest.mark.parametrize("experts", [1, 64])
def test_one_expert_and_many(experts):
    plan = GroupingPlan.build(make_fusions([(5, [4])] * 70, experts), experts=experts)
    hidden = [torch.randn(n, 17) for n in plan.memory.counts]
    weights = [torch.randn(17, 6) for _ in range(experts)]
    got = project(hidden, weights, plan.memory)
    near(got, project(hidden, weights, plan.memory, implementation="reference"), torch.float32)


def test_bad_arguments_are_named(plan):
    hidden, weights, biases, fused = inputs(plan.queries)
    with pytest.raises(ValueError, match="got 3 hidden states and 4 weights for 4 experts"):
        project(hidden[:3], weights, plan.queries)
    with pytest.raises(ValueError, match=r"shape \(4, 12\), but the plan gives it 5 tokens"):
        project([hidden[0][:4], *hidden[1:]], weights, plan.queries)
    with pytest.raises(ValueError, match=r"expert 1: the weight is \(6, 10\).* 7 features"):
        project(hidden, [weights[0], weights[1][1:], *weights[2:]], plan.queries)
    with pytest.raises(ValueError, match="packed width is 10"):
        project(hidden, weights, plan.queries, biases=[b[1:] for b in biases])
    with pytest.raises(ValueError, match="hidden states are torch"):
        project([hidden[0], hidden[1].float(), *hidden[2:]], weights, plan.queries)
    back = [w.T.contiguous() for w in weights]
    with pytest.raises(ValueError, match=r"fused has shape \(3, 10\), but the plan has"):
        project_back(hidden, fused[:3], back, torch.zeros(4), plan.queries)
    with pytest.raises(ValueError, match=r"gates have shape \(2,\) for 4 experts"):
        project_back(hidden, fused, back, torch.zeros(2), plan.queries)
    with pytest.raises(ValueError, match=r"expert 0: the weight is \(12, 10\)"):
        project_back(hidden, fused, weights, torch.zeros(4), plan.queries)
    with pytest.raises(ValueError, match="first projection ends in 10 features"):
        fold(weights[0], torch.zeros(9, 3))
