"""One expert answers; others stand by until its first chunk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from pydantic import PositiveFloat, PositiveInt

from motet.composer.calls import Calls
from motet.composer.strategies.base import Strategy
from motet.config import Options
from motet.errors import (
    ContextLengthExceeded,
    ExpertError,
    ExpertTimeout,
    MotetError,
    NoExpertAvailable,
)
from motet.types import Chunk, Decision, Request


class SingleConfig(Options):
    """Options of `kind: single`."""

    attempts: PositiveInt = 3
    """Experts to try, in the decision's order, before the first chunk."""
    first_chunk_s: PositiveFloat = 60.0
    """Seconds an expert has to begin before the next is tried."""


class SingleStrategy(Strategy):
    """Relays the primary's answer.

    Before the first chunk a failed expert is replaced by the next of the decision; after it the
    failure goes to the client, for words already sent cannot be taken back.
    """

    Config = SingleConfig
    options: SingleConfig

    async def run(
        self, request: Request, decision: Decision, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Relay the first expert of `decision` that begins to answer."""
        failures: list[MotetError] = []
        for expert in decision.experts[: self.options.attempts]:
            async with aclosing(calls.stream(expert, request)) as answer:
                try:
                    first = await self._first(expert, answer)
                except (ExpertError, ContextLengthExceeded) as failure:
                    failures.append(failure)
                    continue
                calls.lead(expert)
                yield first
                async for chunk in answer:
                    yield chunk
                return
        raise verdict(failures)

    async def _first(self, expert: str, answer: AsyncGenerator[Chunk, None]) -> Chunk:
        seconds = self.options.first_chunk_s
        try:
            async with asyncio.timeout(seconds):
                return await anext(answer)
        except TimeoutError:
            raise ExpertTimeout(expert, f"did not begin within {seconds:g} s.") from None
        except StopAsyncIteration:
            raise ExpertError(expert, "ended without an answer.") from None


def verdict(failures: list[MotetError]) -> MotetError:
    """Return the one error that says best why nobody answered."""
    if len(failures) == 1:
        return failures[0]
    if overflow := [f for f in failures if isinstance(f, ContextLengthExceeded)]:
        if len(overflow) == len(failures):
            return max(overflow, key=lambda failure: failure.limit)
    if rejected := [f for f in failures if not f.retryable]:
        return rejected[0]
    reasons = " ".join(failure.message for failure in failures)
    waits = [failure.retry_after for failure in failures if failure.retry_after is not None]
    return NoExpertAvailable(
        f"All {len(failures)} experts that were tried failed. {reasons}",
        retry_after=min(waits, default=1.0),
    )
