"""An expert that the config has and that nobody is to ask: it is known, and takes nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace

from motet.errors import ExpertUnavailable
from motet.experts.base import Expert
from motet.types import Chunk, Health, Request, State


class DisabledExpert(Expert):
    """Stands in for an expert with `enabled: false`, or whose base has it.

    Parameters
    ----------
    built
        The expert it stands for, which is never started.
    """

    def __init__(self, built: Expert) -> None:
        super().__init__(built.entry, built.options, built.setting)
        self.card = replace(built.card, optional=True)  # the service is whole without it

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Refuse; see `Expert.stream`."""
        said: tuple[Chunk, ...] = ()
        for chunk in said:
            yield chunk
        raise ExpertUnavailable(self.card.id, "is disabled in the config.")

    async def health(self) -> Health:
        """Say that it is disabled."""
        return Health(State.DOWN, "disabled in the config")
