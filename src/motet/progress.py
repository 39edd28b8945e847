"""How long work says that it goes on."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float, float], None]
"""Called with a stage in words, how much of it is done, and the total; 0 when that is unknown."""


def silent(stage: str, done: float, total: float) -> None:
    """Tell nobody."""
