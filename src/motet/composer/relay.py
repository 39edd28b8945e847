"""Sending on one expert's answer, with others standing by until its first chunk.

Every strategy whose client reads an expert's own words relays them here, so that streamed or not,
fused or not, the same failures lead to the same fallback.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from motet.clock import Timeout
from motet.composer.calls import Calls
from motet.errors import (
    ContextLengthExceeded,
    ExpertError,
    ExpertTimeout,
    MotetError,
    NoExpertAvailable,
)
from motet.types import Chunk, Request

Turn = tuple[str, Request]
"""An expert, and what it is asked."""


async def relay(
    turns: Iterable[Turn], calls: Calls, *, first_chunk_s: float
) -> AsyncGenerator[Chunk, None]:
    """Send on the answer of the first of `turns` that begins.

    Before the first chunk a failed expert is replaced by the next; after it the failure goes to
    the client, for words already sent cannot be taken back. Who is asked for no stream has sent
    nothing until all is there, so that it is replaced as long. A stream that ends without a chunk,
    or with nothing but a role and a count of tokens, is a failure.

    Parameters
    ----------
    first_chunk_s
        Seconds an expert has to begin before the next is asked.

    Raises
    ------
    MotetError
        Nobody began: the one error that says best why.
    """
    failures: list[MotetError] = []
    for expert, request in turns:
        async with aclosing(calls.stream(expert, request)) as answer:
            try:
                first = await first_chunk_of(expert, answer, first_chunk_s)
                rest = [] if request.stream else [chunk async for chunk in answer]
            except (ExpertError, ContextLengthExceeded) as failure:
                failures.append(failure)
                continue
            calls.lead(expert)  # before the chunk goes out: headers name who speaks
            yield first
            for chunk in rest:
                yield chunk
            async for chunk in answer:
                yield chunk
            return
    raise verdict(failures)


async def first_chunk_of(expert: str, answer: AsyncGenerator[Chunk, None], seconds: float) -> Chunk:
    """Return the first chunk that brings something of the answer itself.

    Raises
    ------
    ExpertError
        There was none, or not in time.
    """
    try:
        async with Timeout(seconds) as bound:
            async for chunk in answer:
                if not chunk.says_nothing:
                    return chunk
    except TimeoutError:
        if not bound.expired:
            raise
        raise ExpertTimeout(expert, f"did not begin within {seconds:g} s.") from None
    raise ExpertError(expert, "ended without an answer.")


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
