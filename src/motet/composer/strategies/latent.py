"""The decision's experts fused in latent space: one writes, the others are asked at every stack.

See docs/fusion.md. The expert of the engine `latent` holds all members; the router's decision says
which of them take part in this answer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from pydantic import PositiveFloat, PositiveInt

from motet.composer.calls import Calls
from motet.composer.relay import relay
from motet.composer.strategies.base import Strategy
from motet.config import Options, Setting
from motet.errors import ArtifactError, ConfigError, UnsupportedRequest
from motet.fusion.card import read_card
from motet.types import Chunk, Decision, Request


class LatentConfig(Options):
    """Options of `kind: latent`."""

    expert: str
    """The expert of the engine `latent` that holds the members."""
    peers: PositiveInt | None = None
    """Most peers of an answer; as many as the fusion was trained with when absent."""
    first_chunk_s: PositiveFloat = 60.0
    """Seconds the fusion has to begin before the primary answers alone."""


class LatentStrategy(Strategy):
    """Fuses the decision's experts: the first that can write is the primary, the next are peers.

    A decision that names no primary leaves the choice to the fusion's own router. Where the fusion
    fails before its first chunk, or does not begin in time, the primary answers alone, as the
    expert it is.
    """

    Config = LatentConfig
    options: LatentConfig

    def __init__(self, options: LatentConfig, setting: Setting) -> None:
        super().__init__(options, setting)
        setting.check(options.expert, "expert")
        entry = setting.entries[options.expert]
        if entry.engine != "latent":
            raise ConfigError(
                f"{options.expert!r} runs on the engine {entry.engine!r}, which fuses nothing.",
                hint="Name an expert of the engine latent.",
                at=("expert",),
            )
        try:
            self._card = read_card(setting.folder / str(entry.options.get("artifact")))
        except ArtifactError as error:
            raise ConfigError(str(error), at=("expert",)) from None

    def stages(self, decision: Decision) -> tuple[tuple[str, ...], ...]:
        """Return the one expert that holds all members."""
        return ((self.options.expert,),)

    async def run(
        self, request: Request, decision: Decision, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Relay the fused answer."""
        if request.tools:
            raise UnsupportedRequest("A fused answer is in words: ask without tools.")
        primary, peers = self.fused(decision)
        if primary is None:
            turns = [(self.options.expert, request)]
        else:
            fused = replace(request, fused=(primary, *peers))
            turns = [(self.options.expert, fused), (primary, request)]
        answer = relay(turns, calls, first_chunk_s=self.options.first_chunk_s)
        async with aclosing(answer):
            async for chunk in answer:
                yield chunk

    def fused(self, decision: Decision) -> tuple[str | None, tuple[str, ...]]:
        """Return the primary and the peers of a decision; None where it names no primary."""
        members = [name for name in decision.experts if name in self._card.ids]
        primary = next((name for name in members if name in self._card.primaries), None)
        most = min(self.options.peers or self._card.peers, self._card.peers)
        return primary, tuple(name for name in members if name != primary)[:most]
