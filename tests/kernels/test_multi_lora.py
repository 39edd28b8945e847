"""Adapters of many kinds in one batch: the stacked products against one token at a time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motet.kernels.multi_lora import add, add_reference, stack


def case(slots, rank, width_in, widths, tokens, dtype, seed):
    make = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return (torch.randn(shape, generator=make) / shape[-1] ** 0.5).to(dtype)

    a = [draw(slots, rank, width_in) for _ in widths]
    b = [draw(slots, width, rank) for width in widths]
    slot_t = torch.randint(-1, slots, (tokens,), generator=make)
    return a, b, draw(tokens, sum(widths)), draw(tokens, width_in), slot_t


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(1, 40),
    st.lists(st.integers(1, 33), min_size=1, max_size=3),
    st.integers(0, 30),
    st.sampled_from([torch.float32, torch.bfloat16]),
    st.integers(0, 1000),
)
def test_equals_the_reference(slots, rank, width_in, widths, tokens, dtype, seed):
    a, b, y, x, slot_t = case(slots, rank, width_in, widths, tokens, dtype, seed)
    for part in (*a, *b):
        part[seed % slots] = 0 if seed % 3 == 0 else part[seed % slots]  # an empty slot
    a[0][:, rank // 2 :] = 0  # an adapter of a lower rank than its slot has room for
    wanted = y.clone()
    add_reference(wanted, x, a, b, slot_t, widths, 0.5)
    stacked = stack(a, b)
    if stacked is not None:
        add(y, x, stacked, slot_t, widths, 0.5)
    tolerance = 1e-5 if dtype == torch.float32 else 4e-2
    torch.testing.assert_close(y, wanted, rtol=tolerance, atol=tolerance)


def test_what_no_adapter_touches_costs_nothing():
    a, b, _, _, _ = case(4, 8, 16, [8, 8, 8], 1, torch.float32, 0)
    b[1].zero_()
    a[2][:2] = 0
    found = stack(a, b)
    assert found.slices[1] is None
    assert len(found.slot_C) == 4 * 8 + 2 * 8
    assert stack([torch.zeros(4, 8, 16)], [torch.ones(4, 8, 8)]) is None


def test_tokens_without_an_adapter_stay_as_they_are():
    a, b, y, x, _ = case(2, 4, 8, [6], 5, torch.float32, 1)
    before = y.clone()
    add(y, x, stack(a, b), torch.full((5,), -1), [6])
    assert torch.equal(y, before)


def test_one_requests_overflow_is_not_its_neighbours():
    a, b, y, x, _ = case(2, 4, 8, [6], 2, torch.float32, 2)
    a[0][1] = float("inf")
    add(y, x, stack(a, b), torch.tensor([0, 1]), [6])
    assert y[0].isfinite().all() and not y[1].isfinite().all()


@pytest.mark.engine
def test_vllms_seam_gives_the_same(monkeypatch):
    """The wrapper as vLLM calls it: metadata first, then layers, slots that change hands."""
    vllm_lora = pytest.importorskip("motet.deploy.pools.vllm_cpu").vllm_lora
    from vllm.lora.layers import LoRAMapping
    from vllm.lora.punica_wrapper.punica_selector import get_punica_wrapper

    wrapper = get_punica_wrapper(64, 8, "cpu", max_loras=2, lora_config=None)
    assert type(wrapper) is vllm_lora.StackedAdapters
    a, b, y, x, _ = case(2, 4, 8, [6, 3], 3, torch.float32, 3)
    stacked_a, stacked_b = (tuple(t.unsqueeze(1) for t in part) for part in (a, b))
    for ids, tokens, slots in (([7, 9], (9, 0, 7), [1, -1, 0]), ([7, None], (7, 7, 7), [0, 0, 0])):
        mapping = LoRAMapping(index_mapping=tokens, prompt_mapping=tokens, is_prefill=True)
        wrapper.update_metadata(mapping, ids, 2, 100)
        if None in ids:
            for part in (*a, *b):
                part[1] = 0
                part[0] *= 2
        wanted, given_ = y.clone(), y.clone()
        add_reference(wanted, x, a, b, torch.tensor(slots), [6, 3])
        wrapper.add_lora_linear(given_, x, stacked_a, stacked_b, 1.0, (6, 3))
        torch.testing.assert_close(given_, wanted)
