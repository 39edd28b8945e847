"""Tile sizes to choose from, by kernel, and how the choice is made.

The table, `hopper.json`, is for 228 KB of shared memory a multiprocessor: two to four stages of
asynchronous copies, four or eight warps (one or two warpgroups). `benchmarks/gpu/run` times its
entries and writes another in its place. On a GPU, Triton measures a kernel's entries once for each
key; under its interpreter there is nothing to measure and the first entry, which is small, is used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import triton
from triton import knobs

MULTIPROCESSORS = 132
"""Of an H100 SXM: decode splits keys until there are some programs for each."""

TABLE: dict[str, Any] = json.loads(Path(__file__).with_name("hopper.json").read_text())
"""Entries to choose from, by kernel."""

EXACT = "_fp32"
"""Behind a kernel's name: its entries for fp32, whose products are exact and hence on plain cores.
The tiles of tensor cores would only spill registers there."""

TUNED: dict[str, Any] = {}
"""The kernels that choose, by their names in the table."""


def tuned(
    name: str, key: Sequence[str], operand: str | None = None
) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that picks an entry of the table for each value of the arguments in `key`.

    Parameters
    ----------
    operand
        The argument of whose dtype matrix products are made, for kernels that make any.
    """
    entries = configs(TABLE[name])
    exact = configs(TABLE[name + EXACT]) if operand else []

    def of_dtype(every: Sequence[Any], arguments: Mapping[str, Any], **_: Any) -> Sequence[Any]:
        wanted = operand is not None and arguments[operand].dtype is torch.float32
        return [config for config in every if (config in exact) == wanted]

    def decorate(kernel: Callable[..., Any]) -> Any:
        TUNED[name] = triton.autotune(
            configs=entries[:1] if knobs.runtime.interpret else [*entries, *exact],
            key=list(key),
            prune_configs_by={"early_config_prune": of_dtype},
        )(kernel)
        return TUNED[name]

    return decorate


def configs(entries: Sequence[Mapping[str, int]]) -> list[Any]:
    """Return entries of the table as Triton takes them."""
    made = []
    for entry in entries:
        tiles = {name: value for name, value in entry.items() if name.startswith("BLOCK_")}
        made.append(
            triton.Config(tiles, num_warps=entry["num_warps"], num_stages=entry["num_stages"])
        )
    return made
