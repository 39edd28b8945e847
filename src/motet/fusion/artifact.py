"""A trained fusion on disk: `fusion.safetensors` beside its card `fusion.json`."""

from __future__ import annotations

from pathlib import Path

import torch

from motet.errors import ArtifactError, SourceError
from motet.files import replacing
from motet.fusion.card import WEIGHTS, FusionCard, MemberCard, write_card
from motet.fusion.layers import FusionLayers
from motet.fusion.members import FusionMember, load_member, revision_of
from motet.weights import Setting


def new_layers(card: FusionCard) -> FusionLayers:
    """Return layers of the shape that a card tells, not trained yet."""
    return FusionLayers(
        [member.width for member in card.members],
        [card.ids.index(name) for name in card.primaries],
        levels=card.levels,
        heads=card.heads,
        head_width=card.head_width,
    )


def save(folder: Path, card: FusionCard, layers: FusionLayers) -> None:
    """Write an artifact into `folder`; what is there is replaced."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in layers.state_dict().items()}
    with replacing(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary)
    write_card(folder, card)  # last: a folder without a card is no artifact


def load_layers(folder: Path, card: FusionCard) -> FusionLayers:
    """Return the trained layers of an artifact, for inference.

    Raises
    ------
    ArtifactError
        The weights are absent, damaged, or not of the card's shape.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    layers = new_layers(card)
    try:
        layers.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ArtifactError(f"{folder / WEIGHTS} does not fit its card: {error}") from None
    layers.eval().requires_grad_(False)
    return layers


def load_trained_member(
    card: FusionCard, member: MemberCard, setting: Setting, *, dtype: str, device: str
) -> FusionMember:
    """Load a member, after making sure that it is the one the fusion was trained with.

    Raises
    ------
    ArtifactError
        Its weights, adapter or template have changed since.
    SourceError
        They cannot be had.
    """
    revision = revision_of(member, setting)
    if revision != member.revision:
        raise ArtifactError(
            f"the fusion was trained with revision {member.revision[:12]} of {member.id!r}, "
            f"but here it is {revision[:12]}.",
            hint="Restore the weights, adapter and template it was trained with, or train anew.",
        )
    loaded = load_member(member, setting, levels=card.levels, dtype=dtype, device=device)
    if loaded.width != member.width:
        raise SourceError(f"Member {member.id!r} has width {loaded.width}, not {member.width}.")
    return loaded


def parameters(layers: torch.nn.Module) -> int:
    """Return how many numbers layers have, those of a bridge included."""
    return sum(parameter.numel() for parameter in layers.parameters())
