"""What each expert asks of a device, read without loading a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from motet.config import Document, ExpertEntry
from motet.errors import ConfigError, SourceError, did_you_mean
from motet.experts import ENGINES
from motet.planner.keys_values import kv_bytes
from motet.units import GIB
from motet.weights import Setting, default_cache, fetch
from motet.weights.sizes import weight_bytes

CONTEXT = 4096
"""Tokens of a request where the config gives no `context`."""
ENGINE_BYTES = GIB
"""What an engine takes beside weights, keys and values: runtime, activations, graphs."""


@dataclass(frozen=True, slots=True)
class Demand:
    """One engine: an expert, with the adapters that share it.

    Attributes
    ----------
    weights, kv, engine
        Bytes of weights; of keys and values for the wanted requests at once; of the rest.
    traffic
        Its share of all requests; shares add up to 1.
    parts
        Devices that it is spread over in equal parts.
    pinned
        Whether it never leaves its device.
    about
        How the bytes came about, for people.
    """

    expert: str
    weights: int
    kv: int
    traffic: float
    engine: int = ENGINE_BYTES
    parts: int = 1
    pinned: bool = False
    about: str = ""

    @property
    def size(self) -> int:
        """Bytes over all its devices."""
        return self.weights + self.kv + self.engine * self.parts

    @property
    def part(self) -> int:
        """Bytes on each of its devices."""
        return ceil((self.weights + self.kv) / self.parts) + self.engine


def demands(
    document: Document,
    *,
    concurrency: int = 8,
    traffic: Mapping[str, float] | None = None,
    pinned: frozenset[str] = frozenset(),
    engine: int = ENGINE_BYTES,
) -> list[Demand]:
    """Return what the experts of a config that hold a model ask for.

    Adapters count with their base: they share its engine, and their traffic is its traffic.

    Parameters
    ----------
    concurrency
        Requests of full context that each engine shall hold at once.
    traffic
        Expert -> weight; equal when absent, and 0 for experts it leaves out.

    Raises
    ------
    ConfigError
        `traffic` or `pinned` names no expert, or nobody has traffic.
    SourceError
        Weights cannot be had, or say nothing of their size.
    """
    entries = {entry.id: entry for entry in document.config.experts}
    for name in [*(traffic or {}), *sorted(pinned)]:
        if name not in entries:
            raise ConfigError(f"no expert {name!r}. {did_you_mean(name, entries)}")
    setting = Setting(document.folder, default_cache())
    wanted = {name: 1.0 if traffic is None else traffic.get(name, 0.0) for name in entries}
    shares = {name: 0.0 for name, e in entries.items() if _holds_model(e)}
    for name, weight in wanted.items():
        home = str(entries[name].options.get("base", name))
        if home in shares:
            shares[home] += weight
    total = sum(shares.values())
    if shares and total <= 0:
        raise ConfigError("no expert that holds a model here has any traffic.")
    return [
        _demand(entries[name], setting, concurrency, share / total, name in pinned, engine)
        for name, share in shares.items()
    ]


def _holds_model(entry: ExpertEntry) -> bool:
    return ENGINES.load(entry.engine).home != "ingress" and "base" not in entry.options


def _demand(
    entry: ExpertEntry,
    setting: Setting,
    concurrency: int,
    share: float,
    pinned: bool,
    engine: int,
) -> Demand:
    models = ENGINES.load(entry.engine).models(entry, setting)
    weights = 0
    for model in models:
        found = weight_bytes(model, setting)
        if found is None:
            raise SourceError(
                f"expert {entry.id!r}: the weights of {model} are not on this machine, so their "
                "size is not known.",
                hint="Fetch them once (`motet serve`), or plan where they are.",
            )
        weights += found
    context = entry.context or CONTEXT
    kv = int(entry.resources.memory or 0)
    about = "keys and values as `resources.memory` says"
    if not kv:
        # Of several models in one engine, one at a time writes an answer.
        kv = concurrency * max(
            kv_bytes(_config(Path(fetch(model, setting))), context) for model in models
        )
        about = f"{concurrency} requests of {context:,} tokens"
    parts = max(1, int(entry.resources.gpus))
    return Demand(entry.id, weights, kv, share, engine, parts, pinned, about)


def _config(folder: Path) -> dict[str, object]:
    try:
        found: dict[str, object] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{folder / 'config.json'} cannot be read: {error}.") from error
    return found
