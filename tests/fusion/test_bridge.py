"""The bridge: what a peer would say comes back as the state in which the primary says it."""

import pytest
import torch
from tests.fusion.world import QUESTIONS, ask

from motet.errors import ConfigError
from motet.fusion import bridge
from motet.fusion.artifact import new_layers
from motet.fusion.bridge import build_bridge
from motet.fusion.data import Example
from motet.fusion.train import Training, TrainOptions


def fitted(world, members):
    """Return layers with standards of some states after the last layer, and these states."""
    card = world.card.model_copy(update={"members": tuple(world.card.members[e] for e in members)})
    card = card.model_copy(update={"primaries": card.ids[:1]})
    layers = new_layers(card)
    states = []
    for at, e in enumerate(members):
        member = world.members[e]
        read = [member.read(member.encode(ask(q)).tokens)[0][-1] for q in QUESTIONS]
        states.append(torch.cat(read))
        layers.levels[-1].fit(at, states[-1])
    return layers, states


def said(layers, peer, states_NF):
    """Return what comes back to the first member of a peer's states, at the size of its own."""
    level = layers.levels[-1]
    back = level.back["0"] / (bridge._STRENGTH * level.standards[0].size)
    return level.standards[peer](states_NF) @ level.values[peer] @ back


def unit(states_NF, standard):
    return states_NF * states_NF.pow(2).mean(-1, keepdim=True).rsqrt() - standard.mean


def test_of_a_peer_with_the_same_weights_its_own_state_comes_back(world):
    layers, states = fitted(world, [0, 0])
    build_bridge(layers, [world.members[0]] * 2)
    own = unit(states[1], layers.levels[-1].standards[1])
    assert torch.allclose(said(layers, 1, states[1]), own, atol=0.05 * float(own.abs().max()))


def test_of_another_family_the_nearest_logits_over_shared_tokens_come_back(world):
    layers, states = fitted(world, [0, 2])
    members = [world.members[0], world.members[2]]
    build_bridge(layers, members)
    own, other = (
        bridge._readout(m, tokens)
        for m, tokens in zip(members, bridge._alike(members, members[0]), strict=True)
    )
    wanted = unit(states[1], layers.levels[-1].standards[1]) @ other.T
    nearest = torch.linalg.lstsq(own, wanted.T).solution.T @ own.T
    found = said(layers, 1, states[1]) @ own.T
    assert (found - wanted).norm() < 1.02 * (nearest - wanted).norm()
    assert (found - wanted).norm() < 0.95 * wanted.norm()


def test_shared_tokens_are_the_same_texts(world):
    members = [world.members[0], world.members[2]]
    for first, second in zip(*bridge._alike(members, members[0]), strict=True):
        assert members[0].tokenizer.decode([first]) == members[1].tokenizer.decode([second])


def test_what_is_tied_does_not_learn(world, tmp_path):
    card = world.card.model_copy(update={"bridge": True})
    examples = [Example(ask(q), " in") for q in QUESTIONS]

    def trained(steps):
        options = TrainOptions(steps=steps, batch=4, warmup=1, lr=1e-2, gate_lr=0.1)
        training = Training(card, options, examples, world.member, tmp_path / "cache")
        return training.run(tmp_path / str(steps), lambda *_: None).levels[-1]

    first, last = trained(1), trained(4)
    assert torch.equal(first.values[2], last.values[2])
    assert torch.equal(first.back["0"], last.back["0"])
    assert not torch.equal(first.keys[2], last.keys[2])
    assert not torch.equal(first.gates, last.gates)


class Foreign:
    """A member whose tokens are texts that no other has."""

    def __init__(self, member):
        self._member = member
        self.tokenizer = self

    def __getattr__(self, name):
        return getattr(self._member, name)

    def __len__(self):
        return len(self._member.tokenizer)

    @property
    def all_special_ids(self):
        return []

    def decode(self, tokens):
        return f"<{tokens[0]}>"


def test_members_without_a_common_vocabulary_are_refused(world):
    layers, _ = fitted(world, [0, 2])
    with pytest.raises(ConfigError, match="texts of 0 tokens") as refused:
        build_bridge(layers, [world.members[0], Foreign(world.members[2])])
    assert "--no-bridge" in refused.value.hint
