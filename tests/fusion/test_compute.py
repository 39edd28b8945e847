"""What tokens cost, against what torch counts and against the layers' own parameters."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from motet.fusion import compute


@pytest.mark.parametrize("e", [0, 2])
def test_a_members_tokens_cost_what_torch_counts(world, e):
    member, size = world.members[e], compute.size_of(world.members[e])
    ids = torch.arange(2, 26)[None]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        hidden = member.decoder(input_ids=ids, use_cache=False).last_hidden_state
        of_layers = counter.get_total_flops()
        member.logits(hidden[0])
    attention = sum(
        count
        for name, count in counter.get_flop_counts()["Global"].items()
        if "attention" in str(name)
    )
    assert size.reading(24) == pytest.approx(of_layers - attention, rel=0.02)
    assert 2 * size.head * 24 == counter.get_total_flops() - of_layers


def test_interaction_counts_its_weights_and_what_is_attended_to(world):
    level, levels = world.layers.levels[0], len(world.layers.levels)
    features = level.heads * level.head_width
    weights = 10 * (level.query["0"].numel() + level.back["0"].numel())
    weights += 7 * (level.keys[2].numel() + level.values[2].numel())
    found = compute.interaction(world.layers, 0, 10, {2: 7})
    assert found == 2 * levels * (weights + 2 * 10 * 7 * features)
    assert compute.interaction(world.layers, 0, 10, {}) == 0
