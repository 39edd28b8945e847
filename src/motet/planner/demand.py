"""What each expert asks of a device, read without loading a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from motet.config import Document, ExpertEntry
from motet.errors import ConfigError, SourceError
from motet.experts.build import holds_model
from motet.experts.footprint import CONTEXT, ENGINE_BYTES, footprint
from motet.weights import Setting, default_cache
from motet.wording import did_you_mean


@dataclass(frozen=True, slots=True)
class Demand:
    """One engine: an expert, with the adapters that share it.

    Attributes
    ----------
    weights, kv, engine
        Bytes of weights, with the tokenizer; of keys and values for the wanted requests at once; of
        the rest. `motet.experts.footprint` counts them.
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
    gpu: bool | None = None,
) -> list[Demand]:
    """Return what the experts of a config that hold a model ask for.

    Adapters count with their base: they share its engine, and their traffic is its traffic.

    Parameters
    ----------
    concurrency
        Requests of full context that each engine shall hold at once.
    traffic
        Expert -> weight; equal when absent, and 0 for experts it leaves out.
    gpu
        Whether they are to live on GPUs; as the config says of each when absent.

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
    shares = {name: 0.0 for name, e in entries.items() if holds_model(e)}
    for name, weight in wanted.items():
        home = entries[name].host
        if home in shares:
            shares[home] += weight
    total = sum(shares.values())
    if shares and total <= 0:
        raise ConfigError("no expert that holds a model here has any traffic.")
    return [
        _demand(entries[name], setting, concurrency, share / total, name in pinned, gpu)
        for name, share in shares.items()
    ]


def _demand(
    entry: ExpertEntry,
    setting: Setting,
    concurrency: int,
    share: float,
    pinned: bool,
    gpu: bool | None,
) -> Demand:
    taken = footprint(entry, setting, gpu=gpu, requests=concurrency)
    if taken is None:
        raise SourceError(
            f"expert {entry.id!r}: its weights are not on this machine, so its size is not known.",
            hint="Fetch them once (`motet serve`), or plan where they are.",
        )
    about = f"{concurrency} requests of {entry.context or CONTEXT:,} tokens"
    if entry.resources.memory:
        about = "keys and values as `resources.memory` says"
    parts = max(1, int(entry.resources.gpus))
    return Demand(
        entry.id,
        taken.weights,
        taken.keys_values,
        share,
        engine=taken.engine,
        parts=parts,
        pinned=pinned,
        about=about,
    )
