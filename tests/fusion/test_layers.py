"""Interaction layers: new ones change nothing, open ones do, and attention may ask nobody."""

import pytest
import torch
from tests.fusion.passes import alone, latents, logits, memory
from tests.fusion.world import QUESTIONS

from motet.fusion.generate import recall
from motet.fusion.layers import Standard, peer_weights


@pytest.mark.parametrize("primary", [0, 1])
def test_new_layers_are_the_identity_to_the_bit(world, primary):
    for question in QUESTIONS:
        known = memory(world, question, [e for e in range(3) if e != primary], primary=primary)
        assert torch.equal(logits(world, question, known, primary), alone(world, question, primary))


def test_open_layers_are_not(world, layers):
    question = QUESTIONS[0]
    assert not torch.allclose(
        logits(world, question, memory(world, question, [1, 2])), alone(world, question), atol=1e-2
    )


@torch.no_grad()
def test_attention_may_ask_nobody(world, layers):
    """The surer that the primary is right alone, the less its peers change."""
    question = QUESTIONS[0]
    known = latents(world, question, [1, 2])
    lone = alone(world, question)
    far = [
        (logits(world, question, recall(layers, 0, known, torch.tensor([sure, 0.0, 0.0]))) - lone)
        .abs()
        .max()
        for sure in (-20.0, 0.0, 5.0, 30.0)
    ]
    assert far[0] > far[1] > far[2] > far[3]
    assert far[0] > 0.1 and far[3] < 1e-4


def test_a_standard_takes_away_the_size_of_each_token_and_of_each_feature():
    torch.manual_seed(0)
    hidden = torch.randn(400, 8) * torch.logspace(-1, 1, 8)
    standard = Standard(8)
    standard.fit(hidden)
    out = standard(hidden)
    assert torch.allclose(out.mean(0), torch.zeros(8), atol=1e-4)
    assert torch.allclose(out.std(0), torch.ones(8), atol=1e-4)
    assert torch.allclose(standard(hidden * 7), out, atol=1e-4)


def test_peers_and_nobody_share_the_weight_of_a_request():
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 5.0], [1.0, 1.0, 1.0]])
    weights = peer_weights(logits, 0, [[1, 2], [], [2]]).exp()
    assert torch.allclose(weights[:3], torch.tensor([1.0, 0.0, 2.0]).softmax(0))
    assert torch.allclose(weights[3:], torch.tensor([0.5, 0.5]))
    assert peer_weights(logits, 0, [[], [], []]).shape == (0,)
