"""Projection: every token to its row, with its expert's weights, folded ones too."""

import pytest
import torch
from tests.kernels.latent_oracle import DTYPES, make_fusions
from tests.kernels.projections import IMPLEMENTATIONS, PACKED, WIDTHS, inputs, near, planned

from motet.kernels import GroupingPlan, fold, project, project_back


@pytest.fixture
def plan():
    return planned()


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


@pytest.mark.parametrize("biased", [False, True])
def test_gradcheck_of_the_projection(plan, biased):
    hidden, weights, biases, _ = inputs(plan.memory)
    leaves = [x.requires_grad_() for x in (*hidden, *weights, *(biases if biased else ()))]
    assert torch.autograd.gradcheck(
        lambda *x: project(x[:4], x[4:8], plan.memory, biases=x[8:] if biased else None), leaves
    )


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
    torch.library.opcheck(torch.ops.motet.grouped_projection.default, args)


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


def test_operator_passes_opcheck(plan):
    hidden, weights, biases, _ = inputs(plan.memory, torch.float32)
    args = (hidden, weights, biases, plan.memory.rows_N, plan.memory.n_rows, "cpu")
    torch.library.opcheck(torch.ops.motet.grouped_projection.default, args)


def test_bad_arguments_are_named(plan):
    hidden, weights, biases, _ = inputs(plan.queries)
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
    with pytest.raises(ValueError, match="first projection ends in 10 features"):
        fold(weights[0], torch.zeros(9, 3))
