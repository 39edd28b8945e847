"""A scripted expert: the production seam that tests and benchmarks use in place of a model."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Iterator
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
from motet.ids import new_id
from motet.types import READY, Capability, Chunk, Health, Request, State, Usage, message_texts

_ERRORS = {
    "failed": ExpertError,
    "unavailable": ExpertUnavailable,
    "overloaded": ExpertOverloaded,
    "timeout": ExpertTimeout,
    "rejected": ExpertRejected,
}


_PIECE = 5
"""Characters of a tool's arguments in one chunk."""


class FakeCall(Options):
    """A call of a tool."""

    name: str
    """The tool."""
    arguments: str = "{}"
    """Its arguments, as JSON."""


class FakeConfig(Options):
    """Options of `engine: fake`."""

    tokens: tuple[str, ...] | None = None
    """The answer, a token each; absent, the last user message comes back word by word."""
    reasoning: str = ""
    """Thoughts before the answer, word by word."""
    calls: tuple[FakeCall, ...] = ()
    """Tools it calls in place of an answer, until the conversation has a tool's result."""
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
        for word in script.reasoning.split():
            for index in range(request.n):
                yield Chunk(index=index, reasoning=f"{word} ")
        if (
            script.calls
            and request.tools
            and not any(m["role"] == "tool" for m in request.messages)
        ):
            for chunk in self._call():
                yield chunk
            yield Chunk(usage=Usage(prompt, len(script.calls)))
            return
        tokens = script.tokens if script.tokens is not None else _echo(request)
        if script.sign:
            tokens = (f"{os.getpid()} ", *tokens)
        said = tokens[: request.max_tokens]
        finish = "stop" if len(said) == len(tokens) else "length"
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
        for index in range(request.n):
            yield Chunk(index=index, finish=finish)
        yield Chunk(usage=Usage(prompt, len(said) * request.n))

    def _call(self) -> Iterator[Chunk]:
        """Yield calls in pieces, as engines send them."""
        for index, call in enumerate(self.options.calls):
            head = {"name": call.name, "arguments": ""}
            yield _piece(
                {"index": index, "id": new_id("call", "_"), "type": "function", "function": head}
            )
            for at in range(0, len(call.arguments), _PIECE):
                said = {"arguments": call.arguments[at : at + _PIECE]}
                yield _piece({"index": index, "function": said})
        yield Chunk(finish="tool_calls")

    def _check_context(self, wanted: int) -> None:
        limit = self.card.context
        if limit is not None and wanted > limit:
            raise ContextLengthExceeded(limit=limit, wanted=wanted, expert=self.card.id)


class PooledFake(FakeExpert):
    """The same in replicas of a pool on Ray, where a model would be."""

    home = "pool"


def _piece(call: dict[str, Any]) -> Chunk:
    return Chunk(tool_calls=(call,))


def _echo(request: Request) -> tuple[str, ...]:
    """Return the prompt's or last message's words, each with the space that follows it."""
    text = request.prompt or " ".join(
        part for message in request.messages[-1:] for part in message_texts(message)
    )
    words = text.split()
    return tuple(f"{word} " for word in words[:-1]) + tuple(words[-1:])
