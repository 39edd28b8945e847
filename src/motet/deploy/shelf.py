"""The config that was applied last, where every ingress replica finds it: in Ray's own store.

Replicas look there twice a second, which costs less than a health check, and one that starts later
begins with it. A deployment anew, with another file, leaves it behind.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass

import orjson
from ray.experimental import internal_kv

from motet.config.snapshot import hash_of_text

_KEY = b"config"
_SPACE = b"motet"


@dataclass(frozen=True, slots=True)
class Shelved:
    """A config that was applied to a service.

    Attributes
    ----------
    base
        The hash of the text that the service was deployed with.
    number
        Counted from 1 for each deployment.
    """

    base: str
    number: int
    text: str


class Shelf:
    """The configs of one deployment.

    Parameters
    ----------
    deployed
        The text that the ingress was deployed with.
    """

    def __init__(self, deployed: str) -> None:
        self._base = hash_of_text(deployed)

    def read(self) -> Shelved | None:
        """Return what was applied last; None where nothing was since the deployment."""
        kept = internal_kv._internal_kv_get(_KEY, namespace=_SPACE)
        if kept is None:
            return None
        shelved = Shelved(**orjson.loads(kept))
        return shelved if shelved.base == self._base else None

    async def look(self) -> Shelved | None:
        """Return what `read` does, off the event loop."""
        return await asyncio.to_thread(self.read)

    async def put(self, number: int, text: str) -> None:
        """Let every replica take a config, which is the one of that number."""
        content = orjson.dumps(asdict(Shelved(self._base, number, text)))
        await asyncio.to_thread(
            internal_kv._internal_kv_put, _KEY, content, overwrite=True, namespace=_SPACE
        )
