"""A training's state between steps, as safetensors: an interrupted training goes on from it."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import torch
from torch import Tensor

from motet.errors import ArtifactError
from motet.files import replacing_folder
from motet.fusion.card import FusionCard
from motet.fusion.layers import FusionLayers

_STATE = "state.safetensors"
_ABOUT = "about.json"


class Checkpoint:
    """One folder, replaced as a whole.

    Parameters
    ----------
    card
        What is trained, and how; a checkpoint of anything else is refused.
    """

    def __init__(self, folder: Path, card: FusionCard) -> None:
        self._folder = folder
        self._card = card.model_dump(mode="json")

    def save(self, layers: FusionLayers, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Keep the state after `step` updates."""
        from safetensors.torch import save_file

        tensors = {f"layers.{name}": t for name, t in layers.state_dict().items()}
        for number, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": t for name, t in state.items()}
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(self._folder) as folder:
            save_file(tensors, folder / _STATE)
            (folder / _ABOUT).write_bytes(orjson.dumps({"step": step, "card": self._card}))

    def restore(self, layers: FusionLayers, optimizer: torch.optim.Optimizer) -> int:
        """Load the state, if there is one; return how many updates it has seen.

        Raises
        ------
        ArtifactError
            It is damaged, or of another training.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        if not self._folder.exists():
            return 0
        try:
            about = orjson.loads((self._folder / _ABOUT).read_bytes())
            if about["card"] != orjson.loads(orjson.dumps(self._card)):
                raise ArtifactError(
                    f"{self._folder} belongs to another training: its members, data or options "
                    "differ.",
                    hint="Remove the folder, or choose another --out.",
                )
            tensors = load_file(self._folder / _STATE)
            layers.load_state_dict(_below(tensors, "layers."))
            optimizer.load_state_dict(
                {
                    "state": _states(_below(tensors, "optimizer.")),
                    "param_groups": optimizer.state_dict()["param_groups"],
                }
            )
            return int(about["step"])
        except (OSError, orjson.JSONDecodeError, KeyError, SafetensorError, RuntimeError) as error:
            raise ArtifactError(
                f"{self._folder} is damaged: {error!r}.", hint="Remove the folder."
            ) from None

    def remove(self) -> None:
        """Forget the state."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


def _states(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, field = name.partition(".")
        states.setdefault(int(number), {})[field] = tensor
    return states
