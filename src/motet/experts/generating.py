"""What experts share whose models run in this process: a generation engine that they load."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable
from typing import Any, ClassVar, Literal

from motet.config import ExpertEntry, Setting
from motet.experts.base import Expert
from motet.generation.engine import GenerationEngine, Loaded
from motet.generation.options import GenerationOptions
from motet.types import Capability, Chunk, Health, Request


class GeneratingExpert(Expert):
    """An expert that answers through a generation engine of its own.

    Attributes
    ----------
    engine
        Loads what generates, and runs it.
    """

    home: ClassVar[Literal["ingress", "pool", "vllm"]] = "pool"
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.CHAT, Capability.COMPLETIONS, Capability.LOGPROBS}
    )
    options: GenerationOptions

    def __init__(self, entry: ExpertEntry, options: Any, setting: Setting) -> None:
        super().__init__(entry, options, setting)
        self.engine = GenerationEngine(entry, options, self._load)

    @property
    def slots(self) -> int:
        """Answers that are generated at once."""
        return self.options.max_batch

    @property
    def waiting(self) -> int:
        """Requests that are not generated yet; see `Expert.waiting`."""
        return self.engine.waiting

    async def start(self) -> None:
        """Fetch and load the weights, off the event loop; see `GenerationEngine.start`."""
        await self.engine.start()

    def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer `request`; see `Expert.stream` and `GenerationEngine.stream`."""
        return self.engine.stream(request)

    async def health(self) -> Health:
        """Return whether it takes requests."""
        return await self.engine.health()

    async def close(self) -> None:
        """End open requests and free the weights."""
        await self.engine.close()

    @abstractmethod
    def _load(self, keep: Callable[[Any], None]) -> Loaded:
        """Load what generates, on a thread; see `GenerationEngine`."""
