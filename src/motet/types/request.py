"""A question: who asks, what, and what it needs of whoever answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from motet.ids import new_id
from motet.types.conversation import NEW, Past
from motet.types.span import SpanContext
from motet.types.texts import Task, Texts

Message = Mapping[str, Any]
"""One chat message in OpenAI's wire form; the API has validated it."""


class Capability(StrEnum):
    """What a request may need of an expert beyond plain chat."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    TOOLS = "tools"
    JSON_SCHEMA = "json_schema"
    LOGPROBS = "logprobs"
    VISION = "vision"
    AUDIO = "audio"
    FILES = "files"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks. The guard sets it from the key, never from what a client says of itself.

    Attributes
    ----------
    key
        The id of the key, which tells nothing of the key itself; empty where none is asked for.
    tenant
        Whom the key belongs to; rules see it.
    scopes
        What it may do, of `chat`, `batch`, `feedback`, `metrics`, `admin`; None for everything.
    models
        The experts and compositions that it may ask; None for all.
    """

    key: str = ""
    tenant: str = ""
    scopes: frozenset[str] | None = None
    models: frozenset[str] | None = None

    def may(self, scope: str) -> bool:
        """Return whether it has a scope."""
        return self.scopes is None or scope in self.scopes


ANYBODY = Caller()
"""The caller of an open service, and of Python programs that name none."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One question to an expert or a composition; chat when `messages`, completion when `prompt`.

    Attributes
    ----------
    model
        The name the client asked for: an expert or a composition.
    prompt_ids
        The prompt as token ids of its expert, who alone can read them; `prompt` is empty then.
    max_tokens
        Bound on generated tokens; None leaves it to the expert.
    max_tokens_name
        The field in which the client gave it: some hosts take only one of OpenAI's two.
    top_logprobs
        Alternatives wanted per token; None when no log-probabilities are wanted.
    texts
        What is asked about, where nothing is to be generated; there are no messages then.
    extra
        Other OpenAI fields, passed through to the expert untouched.
    native
        What only the protocol that the client speaks has words for, by the name of the protocol:
        an expert that speaks it too gets these fields, and for others they mean nothing.
    caller
        Who asks; no part of the body.
    session
        The client's own name of the conversation that this goes on with; empty where it has none.
    subagent
        The kind of sub-agent that asks, where its client says so; empty otherwise.
    past
        What is remembered of the conversation, for compositions that go by it. No part of the body.
    fused
        Who is to answer together in latent space, the primary first; strategies set it, and no
        body can.
    trace
        The span of whoever asks, where traces are kept: the client's in what comes in, and that of
        the call in what an expert is asked. No part of the body.
    """

    model: str
    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    prompt_ids: tuple[int, ...] = ()
    stream: bool = False
    n: int = 1
    max_tokens: int | None = None
    max_tokens_name: str = "max_tokens"
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    top_logprobs: int | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: Any = None
    response_format: Mapping[str, Any] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    texts: Texts | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    native: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    session: str = ""
    subagent: str = ""
    past: Past = NEW
    caller: Caller = ANYBODY
    fused: tuple[str, ...] = ()
    trace: SpanContext | None = None
    id: str = field(default_factory=lambda: new_id("req"))

    @property
    def task(self) -> Task:
        """What is wanted of whoever is asked."""
        return Task.ANSWER if self.texts is None else self.texts.task

    @cached_property
    def text(self) -> str:
        """Every text part of the request, newest last, joined by newlines."""
        if self.texts is not None:
            return self.texts.text
        if self.prompt is not None:
            return self.prompt
        return "\n".join(text for message in self.messages for text in message_texts(message))

    @cached_property
    def needs(self) -> frozenset[Capability]:
        """Capabilities an expert must have to answer this request."""
        if self.texts is not None:
            return frozenset()  # who is asked does nothing else
        needs = {Capability.COMPLETIONS if self.prompt is not None else Capability.CHAT}
        if self.tools and self.tool_choice != "none":
            needs.add(Capability.TOOLS)
        if self.response_format and self.response_format.get("type") not in (None, "text"):
            needs.add(Capability.JSON_SCHEMA)
        if self.top_logprobs is not None:
            needs.add(Capability.LOGPROBS)
        return frozenset(needs.union(*map(_needed_of, self.messages)))

    @cached_property
    def estimated_tokens(self) -> int:
        """Rough prompt length in tokens, at four characters a token; engines count exactly."""
        ids = len(self.prompt_ids) + (0 if self.texts is None else self.texts.token_ids)
        return len(self.text) // 4 + ids + 4 * len(self.messages) + 1


def message_texts(message: Message) -> Iterator[str]:
    """Yield the text parts of one message."""
    content = message.get("content")
    if isinstance(content, str):
        yield content
    elif content:
        for part in content:
            if part.get("type") == "text":
                yield part["text"]


_NEEDED = {
    "image_url": Capability.VISION,
    "input_audio": Capability.AUDIO,
    "file": Capability.FILES,
}
"""What a part of a message needs of an expert, by its type."""


def _needed_of(message: Message) -> set[Capability]:
    content = message.get("content")
    if isinstance(content, str) or not content:
        return set()
    return {_NEEDED[part["type"]] for part in content if part.get("type") in _NEEDED}
