"""Keeping the garbage collector from looking at everything, again and again.

A full collection reads every object there is. Once libraries and models are loaded that takes 50 to
100 ms, during which nobody is answered, and under load it came twice a second.
"""

from __future__ import annotations

import gc
import time
from typing import Any

_LONG_S = 0.01


def keep_collections_short() -> None:
    """Leave what has outlived a long collection out of those to come.

    For processes of our own: it holds for the whole of one. What is left out is still freed when
    nothing refers to it any more; only what refers to itself in a circle stays, until `look_again`.
    """
    if _freeze_after_long not in gc.callbacks:
        gc.callbacks.append(_freeze_after_long)


def look_again() -> None:
    """Have the next full collection look at everything: something large was let go of."""
    gc.unfreeze()


_began = 0.0


def _freeze_after_long(phase: str, info: dict[str, Any]) -> None:
    global _began
    if phase == "start":
        _began = time.perf_counter()
    elif info["generation"] == 2 and time.perf_counter() - _began > _LONG_S:
        gc.freeze()
