"""A fitted composition among live experts: checked with the config, loaded on first use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from motet.composer.fitted import folder
from motet.config import Setting
from motet.errors import ArtifactError, ConfigError
from motet.routers.loading import Loading

T = TypeVar("T")


class LiveFitted(Generic[T]):
    """What a strategy keeps of an artifact that its config names.

    Parameters
    ----------
    path
        Its folder, as the config says it.
    load
        Reads the folder, in a thread.

    Raises
    ------
    ConfigError
        It is absent, damaged or stale.
    """

    def __init__(
        self, path: str, kind: folder.FittedKind, setting: Setting, load: Callable[[Path], T]
    ) -> None:
        place = Path(setting.folder, path).expanduser()
        try:
            self.cover = folder.read_cover(place, kind)
        except ArtifactError as error:
            raise ConfigError(str(error), at=("artifact",)) from error
        self._loading = Loading(lambda: asyncio.to_thread(load, place))

    async def get(self) -> T:
        """Return what was fitted; raises `ArtifactError` where it was damaged meanwhile."""
        return await self._loading.get()
