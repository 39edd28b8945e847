"""A scripted expert: the production seam that tests and benchmarks use in place of a model."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Literal

import orjson
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
from motet.experts.example import example
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
    obliging: bool = False
    """Whether it calls the first tool it may, and follows a schema, with values made up."""
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
        if calls := self._calls(request):
            for chunk in _called(calls):
                yield chunk
            yield Chunk(usage=Usage(prompt, len(calls)))
            return
        tokens = script.tokens if script.tokens is not None else _echo(request)
        if script.obliging and request.response_format:
            tokens = (_object_for(request),)
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

    def _calls(self, request: Request) -> tuple[FakeCall, ...]:
        """Return the tools that it calls: none after a tool has answered."""
        if not request.tools or any(message["role"] == "tool" for message in request.messages):
            return ()
        if not self.options.obliging or request.tool_choice == "none":
            return self.options.calls
        named = request.tool_choice if isinstance(request.tool_choice, Mapping) else {}
        wanted = named.get("function", {}).get("name")
        functions = [tool.get("function", {}) for tool in request.tools]
        chosen = next((each for each in functions if each.get("name") == wanted), functions[0])
        values = example(chosen.get("parameters"), _question(request)) or {}
        return (FakeCall(name=chosen.get("name", ""), arguments=orjson.dumps(values).decode()),)

    def _check_context(self, wanted: int) -> None:
        limit = self.card.context
        if limit is not None and wanted > limit:
            raise ContextLengthExceeded(limit=limit, wanted=wanted, expert=self.card.id)


class PooledFake(FakeExpert):
    """The same in replicas of a pool on Ray, where a model would be."""

    home = "pool"


def _called(calls: tuple[FakeCall, ...]) -> Iterator[Chunk]:
    """Yield calls of tools in pieces, as engines send them."""
    for index, call in enumerate(calls):
        head = {"name": call.name, "arguments": ""}
        begun = {"index": index, "id": new_id("call", "_"), "type": "function", "function": head}
        yield Chunk(tool_calls=(begun,))
        for at in range(0, len(call.arguments), _PIECE):
            said = {"arguments": call.arguments[at : at + _PIECE]}
            yield Chunk(tool_calls=({"index": index, "function": said},))
    yield Chunk(finish="tool_calls")


def _object_for(request: Request) -> str:
    """Return an object in the format that is asked for."""
    form = (request.response_format or {}).get("json_schema", {})
    return orjson.dumps(example(form.get("schema"), _question(request)) or {}).decode()


def _question(request: Request) -> str:
    """Return the text of the last message."""
    return " ".join(part for message in request.messages[-1:] for part in message_texts(message))


def _echo(request: Request) -> tuple[str, ...]:
    """Return the prompt's or last message's words, each with the space that follows it."""
    words = (request.prompt or _question(request)).split()
    return tuple(f"{word} " for word in words[:-1]) + tuple(words[-1:])
