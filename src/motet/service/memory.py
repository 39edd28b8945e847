"""Keeping the garbage collector from reading everything, again and again.

A full collection reads every object there is. With libraries and models loaded that takes 50 to
100 ms, during which nobody is answered, and under load it came twice a second.
"""

from __future__ import annotations

import asyncio
import gc

from motet.composer.parts import Parts
from motet.service.motet import Motet
from motet.types import State

_LOOK_S = 1.0
_PATIENCE = 60
"""Looks after which it no longer waits for a moment without a request."""


async def keep_collections_short(motet: Motet) -> None:
    """Leave what stays for good out of all collections: libraries, models, parts.

    For processes of our own, since it holds for the whole of one. It is done at the start, and anew
    whenever parts have come up. What is left out is freed when nothing refers to it any more; only
    circles among it would stay, so it waits for a moment in which no request is under way.
    """
    settled: Parts | None = None
    _freeze()
    looks = 0
    while True:
        await asyncio.sleep(_LOOK_S)
        if motet.parts is settled:
            continue
        looks += 1
        comes_up = any(each.health.state is State.STARTING for each in motet.fleet.view.values())
        if looks > _PATIENCE or (motet.pipeline.is_idle and not comes_up):
            settled, looks = motet.parts, 0
            _freeze()


def _freeze() -> None:
    gc.unfreeze()
    gc.collect()
    gc.freeze()
