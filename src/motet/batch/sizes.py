"""How much memory each expert of a config takes when it is loaded."""

from __future__ import annotations

from collections.abc import Mapping

from motet.config import ExpertEntry
from motet.experts import ENGINES, Expert
from motet.weights import Setting
from motet.weights.sizes import available_memory, weight_bytes

_WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
_SHARE = 0.7
"""Part of the free memory that a batch takes when nobody says: the rest is for keys and values of
engines without a configured bound, and for other programs."""


def sizes_of(experts: Mapping[str, Expert]) -> dict[str, int | None]:
    """Return the bytes of experts that hold a model of their own; None where it is unknown.

    Weights, as they are counted in memory, and the configured memory for keys and values. Blocks
    while weights are fetched.

    Raises
    ------
    SourceError
        An expert's weights cannot be had.
    """
    return {name: _size(expert.entry, expert.setting) for name, expert in experts.items()}


def default_budget() -> int:
    """Return the bytes that a batch may take on this machine when nobody says."""
    return int(available_memory() * _SHARE)


def _size(entry: ExpertEntry, setting: Setting) -> int | None:
    engine = ENGINES.load(entry.engine)
    models = engine.models(entry, setting)
    if not models:
        return None
    on_cpu = engine.home == "pool" and not entry.resources.gpus
    # `auto` may choose 32 bits on a CPU, so those are counted.
    width = _WIDTHS.get(str(entry.options.get("dtype", "auto")), 4 if on_cpu else None)
    weights = [weight_bytes(model, setting, width=width) for model in models]
    known = [each for each in weights if each is not None]
    if len(known) < len(weights):
        return None
    return sum(known) + int(entry.resources.memory or 0)
