"""What makes an expert answer as it does, as one digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import orjson

from motet.config import Document, ExpertEntry
from motet.weights.store import digest

_KEPT = {".safetensors", ".json", ".jinja", ".gguf"}


def state_of(entry: ExpertEntry, folder: Path) -> str:
    """Return a digest of an expert's engine, options and local files (64 hexadecimal digits).

    Price, description and the like change no answer and are no part of it.

    Parameters
    ----------
    folder
        Where relative paths of the config start.
    """
    told = {"engine": entry.engine, "context": entry.context, "options": entry.options}
    state = hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS, default=str))
    for value in entry.options.values():
        if isinstance(value, str):
            for path in _files(folder / Path(value)):
                state.update(f"{path.name}:{digest(path)}".encode())
    return state.hexdigest()


def states_of(document: Document, names: Iterable[str]) -> dict[str, str]:
    """Return the digest of each of some experts of a config."""
    entries = {entry.id: entry for entry in document.config.experts}
    return {name: state_of(entries[name], document.folder) for name in names}


def _files(place: Path) -> list[Path]:
    try:
        if place.is_dir():
            return sorted(path for path in place.iterdir() if path.suffix in _KEPT)
        return [place] if place.is_file() else []
    except OSError:  # a text of a config may be too long to be a path
        return []
