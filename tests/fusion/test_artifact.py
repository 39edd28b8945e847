"""A fusion on disk: its layers come back as they were, or not at all."""

import pytest
import torch

from motet.errors import ArtifactError
from motet.fusion.artifact import load_layers, parameters, save
from motet.fusion.card import WEIGHTS


def test_layers_come_back_frozen_and_as_they_were(world, layers, tmp_path):
    save(tmp_path, world.card, layers)
    again = load_layers(tmp_path, world.card)
    assert parameters(again) == parameters(layers)
    for name, tensor in layers.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
    assert not any(parameter.requires_grad for parameter in again.parameters())


def test_weights_that_do_not_fit_their_card_are_refused(world, tmp_path):
    save(tmp_path, world.card, world.layers)
    with pytest.raises(ArtifactError, match="does not fit its card"):
        load_layers(tmp_path, world.card.model_copy(update={"levels": 3}))
    (tmp_path / WEIGHTS).write_bytes(b"x" * 20)
    with pytest.raises(ArtifactError, match="does not fit its card"):
        load_layers(tmp_path, world.card)
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(ArtifactError, match="does not fit its card"):
        load_layers(tmp_path, world.card)
