"""A checkpoint: all that a step depends on, and of no other training."""

import pytest
import torch
from tests.fusion.trainings import EXAMPLES, OPTIONS, Stopped, quiet, stop_at, training

from motet.errors import ArtifactError
from motet.fusion.artifact import new_layers
from motet.fusion.checkpoint import Checkpoint


def test_a_checkpoint_of_another_training_is_refused(world, tmp_path):
    with pytest.raises(Stopped):
        training(world, tmp_path / "cache").run(tmp_path / "out", stop_at(3))
    for options, examples in (
        (OPTIONS.model_copy(update={"seed": 1}), EXAMPLES),
        (OPTIONS, EXAMPLES[1:]),
    ):
        with pytest.raises(ArtifactError, match="another training"):
            training(world, tmp_path / "cache", options, examples).run(tmp_path / "out", quiet)
    (tmp_path / "out" / "checkpoint" / "state.safetensors").write_bytes(b"x" * 20)
    with pytest.raises(ArtifactError, match="damaged"):
        training(world, tmp_path / "cache").run(tmp_path / "out", quiet)


def test_layers_and_optimizer_go_on_as_they_were(world, tmp_path):
    def started(seed):
        torch.manual_seed(seed)
        layers = new_layers(world.card)
        return layers, torch.optim.AdamW(layers.gates(), lr=0.1)

    def step(layers, optimizer):
        sum(gate.sin().sum() for gate in layers.gates()).backward()
        optimizer.step()
        optimizer.zero_grad()
        return {name: t.clone() for name, t in layers.state_dict().items()}

    checkpoint = Checkpoint(tmp_path / "state", world.card)
    one, other = started(1), started(2)
    assert checkpoint.restore(*other) == 0
    step(*one)
    checkpoint.save(*one, 7)
    assert checkpoint.restore(*other) == 7
    wanted, got = step(*one), step(*other)
    assert all(torch.equal(got[name], tensor) for name, tensor in wanted.items())
    checkpoint.remove()
    assert checkpoint.restore(*other) == 0
