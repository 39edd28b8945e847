"""The one account of an expert's bytes: `motet plan`, the swapper and batches all count by it.

What loading takes is counted apart from what the engine's process takes beside it: a swapper and a
batch give back only the first, while a device must have room for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from motet.config import ExpertEntry
from motet.experts.base import Expert
from motet.experts.build import engine_of
from motet.experts.keys_values import kv_bytes, read_config
from motet.experts.vllm import cache_bytes
from motet.weights import Setting, fetch
from motet.weights.sizes import available_memory, hub_folder, weight_bytes

CONTEXT = 4096
"""Tokens of a request where the config gives no `context`."""
ENGINE_BYTES = 2**30
"""What an engine takes beside weights, keys and values: runtime, activations, graphs."""
_WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
_TOKENIZER = 10
"""Bytes in memory of a byte of `tokenizer.json`: 8 were measured for SmolLM2 and for Gemma 3."""
_SHARE = 0.7
"""Part of the free memory that is taken when nobody says: the rest is for keys and values of
engines without a configured bound, and for other programs."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of an expert while its engine is there.

    Attributes
    ----------
    weights
        Weights, as they are counted in memory, and the tokenizer.
    keys_values
        What is set aside for keys and values.
    engine
        The rest of its process, which stays with the process when weights and caches go.
    """

    weights: int
    keys_values: int
    engine: int = ENGINE_BYTES

    @property
    def loaded(self) -> int:
        """Bytes that loading takes and unloading gives back."""
        return self.weights + self.keys_values


def footprint(
    entry: ExpertEntry, setting: Setting, *, gpu: bool | None = None, requests: int = 0
) -> Footprint | None:
    """Return what an expert with an engine of its own takes; None where that is unknown.

    Unknown are weights of a hub that are not on this machine, an engine that takes all its GPU has
    left, and a plug-in's engine without a `model` of which the config says nothing. Blocks while
    weights are fetched.

    Parameters
    ----------
    gpu
        Whether it lives on a GPU; as its `resources` say when absent.
    requests
        Requests of full context for whose keys and values room is asked, where the config does not
        say how much there is; 0 asks for none beyond what the engine takes by itself.

    Raises
    ------
    SourceError
        Weights cannot be had, or their configuration cannot be read.
    """
    if gpu is None:
        gpu = bool(entry.resources.gpus)
    models = engine_of(entry).models(entry, setting)
    weights = _weights(entry, models, setting, gpu)
    if weights is None:
        return None
    kept = _keys_values(entry, models, setting, gpu, requests)
    return None if kept is None else Footprint(weights, kept)


def sizes_of(experts: Mapping[str, Expert]) -> dict[str, int | None]:
    """Return the bytes that loading each expert takes; see `footprint`."""
    taken = {name: footprint(expert.entry, expert.setting) for name, expert in experts.items()}
    return {name: None if each is None else each.loaded for name, each in taken.items()}


def default_budget() -> int:
    """Return the bytes that experts may take on this machine when nobody says."""
    return int(available_memory() * _SHARE)


def _weights(entry: ExpertEntry, models: Sequence[str], setting: Setting, gpu: bool) -> int | None:
    # `auto` may choose 32 bits on a CPU, so those are counted.
    auto = 4 if engine_of(entry).home == "pool" and not gpu else None
    width = _WIDTHS.get(str(entry.options.get("dtype", "auto")), auto)
    total = 0
    for model in models:
        weights = weight_bytes(model, setting, width=width)
        if weights is None:
            return None
        tokenizer = _folder(model, setting) / "tokenizer.json"
        total += weights + (_TOKENIZER * tokenizer.stat().st_size if tokenizer.is_file() else 0)
    return total


def _keys_values(
    entry: ExpertEntry, models: Sequence[str], setting: Setting, gpu: bool, requests: int
) -> int | None:
    if entry.resources.memory:
        return int(entry.resources.memory)
    if not models:  # a plug-in's engine: what the config says is all that is known
        return None
    if requests:
        context = entry.context or CONTEXT
        # Of several models in one engine, one at a time writes an answer.
        return requests * max(
            kv_bytes(read_config(_folder(model, setting)), context) for model in models
        )
    if engine_of(entry).home == "vllm":
        return None if gpu else cache_bytes(entry)
    return 0  # an engine in this process takes them as answers need them


def _folder(model: str, setting: Setting) -> Path:
    """Return where a model's files are, which are on this machine."""
    source = fetch(model, setting)
    return Path(source) if Path(source).is_dir() else hub_folder(source) or Path(source)
