"""One expert answers; others stand by until its first chunk."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from pydantic import PositiveFloat, PositiveInt

from motet.composer.calls import Calls
from motet.composer.relay import relay
from motet.composer.strategies.base import Strategy
from motet.config import Options
from motet.types import Chunk, Decision, Request


class SingleConfig(Options):
    """Options of `kind: single`."""

    attempts: PositiveInt = 3
    """Experts to try, in the decision's order, before the first chunk."""
    first_chunk_s: PositiveFloat = 60.0
    """Seconds an expert has to begin before the next is tried."""


class SingleStrategy(Strategy):
    """Relays the primary's answer, or that of the next expert where the primary does not begin."""

    Config = SingleConfig
    options: SingleConfig

    def run(
        self, request: Request, decision: Decision, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Relay the first expert of `decision` that begins to answer."""
        turns = [(expert, request) for expert in decision.experts[: self.options.attempts]]
        return relay(turns, calls, first_chunk_s=self.options.first_chunk_s)
