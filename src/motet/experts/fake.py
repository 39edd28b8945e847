"""A scripted expert: the production seam that tests and benchmarks use in place of a model."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from typing import Any, Literal

from pydantic import NonNegativeFloat, NonNegativeInt

from motet.config import Options
from motet.errors import (
    ContextLengthExceeded,
    ExpertError,
    ExpertOverloaded,
    ExpertRejected,
    ExpertTimeout,
    ExpertUnavailable,
)
from motet.experts.base import Expert
from motet.types import READY, Capability, Chunk, Health, Request, State, Usage, message_texts

_ERRORS = {
    "failed": ExpertError,
    "unavailable": ExpertUnavailable,
    "overloaded": ExpertOverloaded,
    "timeout": ExpertTimeout,
    "rejected": ExpertRejected,
}


class FakeConfig(Options):
    """Options of `engine: fake`."""

    tokens: tuple[str, ...] | None = None
    """The answer, a token each; absent, the last user message comes back word by word."""
    calls: tuple[str, ...] = ()
    """Tools that it calls, without arguments, once it has said its tokens."""
    sign: bool = False
    """Whether the id of the process comes first: who has answered, of several replicas."""
    delay_s: NonNegativeFloat = 0.0
    """Seconds before the first token."""
    token_delay_s: NonNegativeFloat = 0.0
    """Seconds before each later token."""
    fail_after: NonNegativeInt | None = None
    """Tokens to send before failing; 0 fails before the first byte."""
    error: Literal["failed", "unavailable", "overloaded", "timeout", "rejected"] = "failed"
    """How it fails."""
    ready_after_s: NonNegativeFloat = 0.0
    """Seconds after start during which it is not ready."""
    down: str = ""
    """A reason for being down all the time."""


class FakeExpert(Expert):
    """Answers from a script, at a scripted pace, with scripted failures.

    Attributes
    ----------
    open
        Streams under way, so that a test can see that a departed client stops its calls.
    """

    Config = FakeConfig
    capabilities = frozenset(Capability)
    options: FakeConfig
    _started = 0.0
    open = 0

    async def start(self) -> None:
        """Start the clock of `ready_after_s`."""
        self._started = time.monotonic()

    async def health(self) -> Health:
        """Return what the script says."""
        if self.options.down:
            return Health(State.DOWN, self.options.down)
        left = self._started + self.options.ready_after_s - time.monotonic()
        return READY if left <= 0 else Health(State.STARTING, f"ready in {left:.1f} s")

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Play the script; see `Expert.stream`."""
        self.open += 1
        try:
            async for chunk in self._play(request):
                yield chunk
        finally:
            self.open -= 1

    async def _play(self, request: Request) -> AsyncGenerator[Chunk, None]:
        script = self.options
        prompt = len(request.text.split())
        self._check_context(prompt + (request.max_tokens or 0))
        tokens = script.tokens if script.tokens is not None else _echo(request)
        if script.sign:
            tokens = (f"{os.getpid()} ", *tokens)
        said = tokens[: request.max_tokens]
        finish = "stop" if len(said) == len(tokens) else "length"
        if script.calls and finish == "stop":
            finish = "tool_calls"
        if script.delay_s:
            await asyncio.sleep(script.delay_s)
        for number, token in enumerate(said):
            if number == script.fail_after:
                break
            if number and script.token_delay_s:
                await asyncio.sleep(script.token_delay_s)
            for index in range(request.n):
                yield Chunk(index=index, text=token)
        if script.fail_after is not None and script.fail_after <= len(said):
            wait = 1.0 if script.error in ("unavailable", "overloaded") else None
            raise _ERRORS[script.error](self.card.id, "scripted failure.", retry_after=wait)
        called = tuple(map(_call, range(len(script.calls)), script.calls))
        for index in range(request.n):
            if finish == "tool_calls":
                yield Chunk(index=index, tool_calls=called)
            yield Chunk(index=index, finish=finish)
        yield Chunk(usage=Usage(prompt, len(said) * request.n))

    def _check_context(self, wanted: int) -> None:
        limit = self.card.context
        if limit is not None and wanted > limit:
            raise ContextLengthExceeded(limit=limit, wanted=wanted, expert=self.card.id)


class PooledFake(FakeExpert):
    """The same in replicas of a pool on Ray, where a model would be."""

    home = "pool"


def _call(number: int, tool: str) -> dict[str, Any]:
    function = {"name": tool, "arguments": "{}"}
    return {"index": number, "id": f"call_{number}", "type": "function", "function": function}


def _echo(request: Request) -> tuple[str, ...]:
    """Return the prompt's or last message's words, each with the space that follows it."""
    text = request.prompt or " ".join(
        part for message in request.messages[-1:] for part in message_texts(message)
    )
    words = text.split()
    return tuple(f"{word} " for word in words[:-1]) + tuple(words[-1:])
