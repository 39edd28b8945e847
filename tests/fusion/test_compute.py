"""What an answer costs, against what torch counts and against the layers' own parameters."""

import pytest
import torch
from tests.fusion.world import QUESTIONS, ask, make_world, opened
from torch.utils.flop_counter import FlopCounterMode

from motet.fusion import compute
from motet.fusion.answering import Fused, alone
from motet.generation.decoding import Sampling

GREEDY = Sampling(5, temperature=0.0)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("compute"), "B")


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


def test_an_answer_costs_its_members_and_its_draft(world):
    opened(world.layers)
    requests = [ask(q) for q in QUESTIONS]
    fused = Fused(world.card, world.layers, world.members, 0)
    plain = [a for (a,) in alone(world.members[0], requests, GREEDY, lambda _: None)]
    both = fused.answers(requests, requests, GREEDY, lambda _: None)
    for request, own, answer in zip(requests, plain, both, strict=True):
        size = compute.size_of(world.members[0])
        assert own.reading == size.reading(len(world.members[0].encode(request).tokens))
        peers = [
            compute.size_of(world.members[e]).reading(len(world.members[e].encode(request).tokens))
            for e in fused.peers
        ]
        assert answer.reading > own.reading + sum(peers)  # drafts and the layers come on top
        assert answer.flops > own.flops or answer.writing < own.writing  # or it is shorter


def test_more_answers_share_one_reading(world):
    sampling = Sampling(5, temperature=1.0, seed=3)
    ((*many,),) = alone(world.members[0], [ask("town")], sampling, lambda _: None, copies=4)
    ((one,),) = alone(world.members[0], [ask("town")], sampling, lambda _: None)
    assert many[0] == one
    assert len({answer.text for answer in many}) > 1
    assert {answer.reading for answer in many} == {one.reading}
