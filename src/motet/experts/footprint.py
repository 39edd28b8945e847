"""How much memory each expert of a config takes when it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from motet.config import ExpertEntry
from motet.experts.base import Expert
from motet.experts.build import engine_of
from motet.experts.vllm import kv_bytes
from motet.weights import Setting, fetch
from motet.weights.sizes import available_memory, weight_bytes

_WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
_TOKENIZER = 10
"""Bytes in memory of a byte of `tokenizer.json`: 8 were measured for SmolLM2 and for Gemma 3."""
_SHARE = 0.7
"""Part of the free memory that is taken when nobody says: the rest is for keys and values of
engines without a configured bound, and for other programs."""


def sizes_of(experts: Mapping[str, Expert]) -> dict[str, int | None]:
    """Return the bytes of experts that hold a model of their own; None where it is unknown.

    Weights, as they are counted in memory, the tokenizer, and the configured memory for keys and
    values, which is all there is of an engine without a `model`. Blocks while weights are fetched.

    Raises
    ------
    SourceError
        An expert's weights cannot be had.
    """
    return {name: _size(expert.entry, expert.setting) for name, expert in experts.items()}


def default_budget() -> int:
    """Return the bytes that experts may take on this machine when nobody says."""
    return int(available_memory() * _SHARE)


def _size(entry: ExpertEntry, setting: Setting) -> int | None:
    engine = engine_of(entry)
    models = engine.models(entry, setting)
    memory = int(entry.resources.memory or 0)
    if engine.home == "vllm" and not memory:
        if entry.resources.gpus:
            return None  # it takes all that its share of the GPU leaves
        memory = kv_bytes(entry)
    if not models:  # a plug-in's engine: what the config says is all that is known
        return memory or None
    on_cpu = engine.home == "pool" and not entry.resources.gpus
    # `auto` may choose 32 bits on a CPU, so those are counted.
    width = _WIDTHS.get(str(entry.options.get("dtype", "auto")), 4 if on_cpu else None)
    parts = [_model_bytes(model, setting, width) for model in models]
    known = [part for part in parts if part is not None]
    return sum(known) + memory if len(known) == len(parts) else None


def _model_bytes(model: str, setting: Setting, width: int | None) -> int | None:
    """Return what a model's weights and its tokenizer take; None where that is unknown."""
    weights = weight_bytes(model, setting, width=width)
    if weights is None:
        return None
    tokenizer = Path(fetch(model, setting)) / "tokenizer.json"
    return weights + (_TOKENIZER * tokenizer.stat().st_size if tokenizer.is_file() else 0)
