"""What a LoRA adapter's own files say, checked before an engine is asked to load it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import orjson

from motet.config import ExpertEntry
from motet.errors import ConfigError
from motet.wording import nearest

_WEIGHTS = "adapter_model.safetensors"  # a .bin is a pickle, and never read
DEFAULT_RANK: Final = 16
_VERSION = re.compile(r"==.*$")


def check_adapter(folder: Path, base: ExpertEntry) -> None:
    """Check the adapter in `folder` against the expert whose engine it is to share.

    Raises
    ------
    ConfigError
        A file is missing or unreadable, it was trained on another base, or its rank is over the
        engine's limit; both values are named.
    """
    about = _read(folder)
    rank, most = about.get("r"), base.options.get("max_lora_rank", DEFAULT_RANK)
    if not isinstance(rank, int) or about.get("peft_type") != "LORA":
        raise _wrong(f"{folder / 'adapter_config.json'} describes no LoRA adapter.")
    patterns = about.get("rank_pattern") or {}
    rank = max([rank, *patterns.values()])
    if rank > most:
        raise _wrong(
            f"its rank {rank} is over max_lora_rank {most} of {base.id!r}.",
            f"Set max_lora_rank of {base.id!r} to {rank} or more, or train a smaller adapter.",
        )
    trained, served = about.get("base_model_name_or_path"), base.options.get("model")
    if trained and served and _differ(str(trained), str(served)):
        raise _wrong(
            f"it was trained on {trained!r}, and {base.id!r} serves {served!r}.",
            "An adapter fits only the model it was trained on.",
        )


def _read(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        beside = [p.name for p in folder.parent.iterdir()] if folder.parent.is_dir() else []
        close = nearest(folder.name, beside)
        raise _wrong(f"there is no folder {folder}.", f"Did you mean {close!r}?" if close else "")
    for name in ("adapter_config.json", _WEIGHTS):
        if not (folder / name).is_file():
            raise _wrong(f"{folder} has no {name}.", "Save it with peft, as safetensors.")
    try:
        about: dict[str, Any] = orjson.loads((folder / "adapter_config.json").read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise _wrong(f"{folder / 'adapter_config.json'} cannot be read: {error}.") from None
    return about


def _differ(trained: str, served: str) -> bool:
    """Return whether two names surely mean different models.

    A hub id and a package may hold the same weights, and a path says nothing: only names of one
    kind are compared, versions aside. The engine has the last word when it loads the weights.
    """
    kinds = [_kind(name) for name in (trained, served)]
    if "path" in kinds or kinds[0] != kinds[1]:
        return False
    return _VERSION.sub("", trained).casefold() != _VERSION.sub("", served).casefold()


def _kind(name: str) -> str:
    if name.startswith("pypi:"):
        return "package"
    hub = re.fullmatch(r"[\w.-]+/[\w.-]+", name) and not name.endswith(".gguf")
    return "hub" if hub else "path"


def _wrong(message: str, hint: str = "") -> ConfigError:
    return ConfigError(message, hint=hint, at=("adapter",))
