"""Batches: every question once an epoch, rates that rise and fall, padding that is told apart."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from motet.fusion.batches import drawn, padded, rate


@given(st.integers(1, 12), st.integers(1, 7), st.integers(0, 9))
def test_batches_go_through_every_epoch(items, batch, seed):
    numbers = [n for part in range(12) for n in drawn(range(items), batch, part, seed)]
    whole = len(numbers) // items
    for epoch in range(whole):
        assert sorted(numbers[epoch * items : (epoch + 1) * items]) == list(range(items))
    assert numbers[:batch] == drawn(range(items), batch, 0, seed)


@given(st.integers(1, 60), st.integers(0, 60))
def test_rates_rise_to_one_and_fall(steps, warmup):
    rates = [rate(step, steps, warmup) for step in range(steps)]
    top = rates.index(max(rates))
    assert all(0 < share <= 1 for share in rates)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=1, max_size=5))
def test_padding_is_told_from_tokens(rows):
    tokens, real = padded(rows, torch.device("cpu"))
    assert [row[own].tolist() for row, own in zip(tokens, real, strict=True)] == rows
    assert not tokens[~real].any()
