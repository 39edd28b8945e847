"""The experts that routers ask while a batch is planned: up when a line needs them, gone after."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Self

from motet.batch.loading import Loader
from motet.composer.calls import Asked
from motet.errors import MotetError
from motet.experts import Expert
from motet.routers import Router

log = logging.getLogger(__name__)


class Consulted:
    """Gives routers the experts they ask; use it as an async context manager.

    They are loaded outside the router's own time-out: a model that takes a minute to load must not
    make a batch decide otherwise than a service whose model is there.

    Parameters
    ----------
    experts
        Stand in for those that are not loaded, and say so when they are asked.
    open
        Opens the loader, if it is not open yet.
    """

    def __init__(
        self, loader: Loader, experts: Mapping[str, Expert], open: Callable[[], Awaitable[None]]
    ) -> None:
        self._loader = loader
        self._experts = experts
        self._open = open
        self._loading = asyncio.Lock()
        self._up: dict[str, bool] = {}
        self._loaded: set[str] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._loaded:
            await self._loader.unload(self._loaded.pop())

    def __getitem__(self, expert: str) -> Asked:
        """Return an expert, loaded if `ready` could."""
        return self._loader.expert(expert) if self._up.get(expert) else self._experts[expert]

    async def ready(self, router: Router) -> None:
        """Load whom a router may ask, each once; where that fails, the router will meet it."""
        for expert in router.asks:
            async with self._loading:
                if expert not in self._up:
                    self._up[expert] = await self._load(expert)

    async def _load(self, expert: str) -> bool:
        if not self._loader.answers_soon:
            return False
        host = self._loader.host(expert)
        await self._open()
        if host.always or host.id in self._loaded:
            return True
        try:
            await self._loader.load(host.id)
        except MotetError as error:
            log.error("%s cannot be loaded, and a router asks it: %s", expert, error)
            return False
        except Exception:
            # An engine may fail in ways of its own; a router may do without it.
            log.exception("%s cannot be loaded, and a router asks it", expert)
            return False
        self._loaded.add(host.id)
        return True
