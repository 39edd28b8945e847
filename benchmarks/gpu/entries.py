"""The tuning table's entries, one by one: how parts make a kernel use the one they mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import motet.kernels.triton.attention
import motet.kernels.triton.gated
import motet.kernels.triton.projection  # noqa: F401 (each fills TUNED with its kernels)
from motet.kernels.triton.tuning import EXACT, TABLE, TUNED, configs

KERNELS = ("prefill", "decode", "projection", "back_projection")


def entries_of(name: str, dtype: str) -> Sequence[Mapping[str, int]]:
    """Return the table's entries of a kernel for a dtype, as it lists them."""
    exact = name + EXACT
    return TABLE[exact if dtype == "float32" and exact in TABLE else name]


@contextmanager
def pinned(name: str, entries: Sequence[Mapping[str, int]]) -> Iterator[None]:
    """Let a kernel choose among these entries alone; one is taken without measuring."""
    kernel: Any = TUNED[name]
    before, kernel.configs = kernel.configs, configs(entries)
    try:
        yield
    finally:
        kernel.configs = before
