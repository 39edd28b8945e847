"""One expert answers; others stand by until its first chunk."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from motet.composer.calls import Calls
from motet.composer.hedge import FirstChunks, race
from motet.composer.relay import relay
from motet.composer.strategies.base import Strategy
from motet.config import Options, Setting
from motet.types import Chunk, Decision, Request


class RelayConfig(Options):
    """How one expert after another is asked."""

    attempts: PositiveInt = 3
    """Experts to try, in the decision's order, before the first chunk."""
    first_chunk_s: PositiveFloat = 60.0
    """Seconds an expert has to begin before the next is tried."""


class SingleConfig(RelayConfig):
    """Options of `kind: single`."""

    hedge_s: PositiveFloat | None = None
    """Seconds after which the next expert is asked beside one that has not begun; who begins first
    answers. Never when absent."""
    hedge_quantile: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The same after the time within which the expert began in this share of its last answers,
    such as `0.95`; its first twenty answers are waited for."""

    @model_validator(mode="after")
    def _said_once(self) -> SingleConfig:
        if self.hedge_s is not None and self.hedge_quantile is not None:
            raise ValueError("give either hedge_s or hedge_quantile, which finds the seconds")
        return self


class SingleStrategy(Strategy):
    """Relays the primary's answer, or that of the next expert where the primary does not begin."""

    Config = SingleConfig
    options: SingleConfig

    def __init__(self, options: SingleConfig, setting: Setting) -> None:
        super().__init__(options, setting)
        self._firsts = FirstChunks()

    def run(
        self, request: Request, decision: Decision, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Relay the first expert of `decision` that begins to answer."""
        turns = [(expert, request) for expert in decision.experts[: self.options.attempts]]
        first_chunk_s = self.options.first_chunk_s
        if self.options.hedge_s is None and self.options.hedge_quantile is None:
            return relay(turns, calls, first_chunk_s=first_chunk_s)
        return self._raced(
            race(turns, calls, first_chunk_s=first_chunk_s, patience=self._patience), calls
        )

    def _patience(self, expert: str) -> float | None:
        share = self.options.hedge_quantile
        return self.options.hedge_s if share is None else self._firsts.quantile(expert, share)

    async def _raced(
        self, answer: AsyncGenerator[Chunk, None], calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Send on an answer, and learn how long experts take to begin."""
        async with aclosing(answer) as chunks:
            async for chunk in chunks:
                yield chunk
        for call in calls.trace:
            if call.first_chunk is not None:
                self._firsts.note(call.expert, call.first_chunk - call.started)
