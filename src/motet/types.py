"""The words of Motet as plain frozen data. Nothing here imports a model library.

Life of one request in these words: a `Request` of some `Caller` arrives, a router reads it beside
the `Fleet` and returns a `Decision`, a strategy turns the decision into `Chunk`s, and each expert
call, a router's own included, leaves a `Call` in the trace with its `Usage`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Protocol

from motet.ids import new_id

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


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written, summed over every expert call of a request."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens."""

    input: float = 0.0
    output: float = 0.0

    def of(self, usage: Usage) -> float:
        """Return what `usage` costs, in USD."""
        return (
            usage.prompt_tokens * self.input + usage.completion_tokens * self.output
        ) / 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks. The guard sets it from the key, never from what a client says of itself.

    Attributes
    ----------
    key
        The id of the key, which tells nothing of the key itself; empty where none is asked for.
    tenant
        Whom the key belongs to; rules see it.
    models
        The experts and compositions that it may ask; None for all.
    """

    key: str = ""
    tenant: str = ""
    scopes: frozenset[str] = frozenset()
    models: frozenset[str] | None = None


ANYBODY = Caller()
"""The caller of an open service, and of Python programs that name none."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One question to an expert or a composition; chat when `messages`, completion when `prompt`.

    Attributes
    ----------
    model
        The name the client asked for: an expert or a composition.
    max_tokens
        Bound on generated tokens; None leaves it to the expert.
    top_logprobs
        Alternatives wanted per token; None when no log-probabilities are wanted.
    extra
        Other OpenAI fields, passed through to the expert untouched.
    caller
        Who asks; no part of the body.
    fused
        Who is to answer together in latent space, the primary first; strategies set it, and no
        body can.
    """

    model: str
    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    stream: bool = False
    n: int = 1
    max_tokens: int | None = None
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
    extra: Mapping[str, Any] = field(default_factory=dict)
    caller: Caller = ANYBODY
    fused: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: new_id("req"))

    @cached_property
    def text(self) -> str:
        """Every text part of the request, newest last, joined by newlines."""
        if self.prompt is not None:
            return self.prompt
        return "\n".join(text for message in self.messages for text in message_texts(message))

    @cached_property
    def needs(self) -> frozenset[Capability]:
        """Capabilities an expert must have to answer this request."""
        needs = {Capability.COMPLETIONS if self.prompt is not None else Capability.CHAT}
        if self.tools and self.tool_choice != "none":
            needs.add(Capability.TOOLS)
        if self.response_format and self.response_format.get("type") not in (None, "text"):
            needs.add(Capability.JSON_SCHEMA)
        if self.top_logprobs is not None:
            needs.add(Capability.LOGPROBS)
        if any(_has_image(message) for message in self.messages):
            needs.add(Capability.VISION)
        return frozenset(needs)

    @cached_property
    def estimated_tokens(self) -> int:
        """Rough prompt length in tokens, at four characters a token; engines count exactly."""
        return len(self.text) // 4 + 4 * len(self.messages) + 1


def message_texts(message: Message) -> Iterator[str]:
    """Yield the text parts of one message."""
    content = message.get("content")
    if isinstance(content, str):
        yield content
    elif content:
        for part in content:
            if part.get("type") == "text":
                yield part["text"]


def _has_image(message: Message) -> bool:
    content = message.get("content")
    return isinstance(content, list | tuple) and any(p.get("type") == "image_url" for p in content)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one answer.

    Attributes
    ----------
    index
        Which of the request's `n` choices this piece belongs to.
    finish
        Why the choice ended (`stop`, `length`, `tool_calls`, ...); None while it goes on.
    usage
        Tokens of the whole expert call; sent once, with or after the last piece.
    """

    index: int = 0
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    logprobs: Mapping[str, Any] | None = None
    finish: str | None = None
    usage: Usage | None = None

    @property
    def says_nothing(self) -> bool:
        """Whether the chunk brings nothing of the answer itself, such as one that names a role."""
        said = self.text or self.reasoning or self.tool_calls or self.logprobs or self.finish
        return not said

    @property
    def is_usage_alone(self) -> bool:
        """Whether the chunk counts tokens and brings nothing of the answer itself."""
        return self.usage is not None and self.says_nothing


class State(StrEnum):
    """Where an expert's pool is in its life."""

    STARTING = "starting"
    READY = "ready"
    ASLEEP = "asleep"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Health:
    """An expert's state and, unless it is ready, the reason in words."""

    state: State
    reason: str = ""

    @property
    def ready(self) -> bool:
        """Whether the expert can take a request now; one that sleeps is woken by it."""
        return self.state in (State.READY, State.ASLEEP)


READY = Health(State.READY)


@dataclass(frozen=True, kw_only=True)
class ExpertCard:
    """What is known of an expert before asking it anything."""

    id: str
    engine: str
    model: str = ""
    context: int | None = None
    capabilities: frozenset[Capability] = frozenset({Capability.CHAT})
    skills: tuple[str, ...] = ()
    price: Price = Price()
    description: str = ""
    license: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """One expert as a router sees it: its card, its health and a prior weight."""

    card: ExpertCard
    health: Health = READY
    weight: float = 1.0


class Fleet(Mapping[str, Member]):
    """The experts of a deployment at one moment, in the order of the config file."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._members = {member.card.id: member for member in members}

    def __getitem__(self, expert: str) -> Member:
        return self._members[expert]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __repr__(self) -> str:
        return f"Fleet({', '.join(f'{e}={m.health.state}' for e, m in self._members.items())})"

    def only(self, weights: Mapping[str, float]) -> Fleet:
        """Return the members named in `weights`, in that order, with those prior weights."""
        return Fleet(
            Member(self[expert].card, self[expert].health, weight)
            for expert, weight in weights.items()
            if expert in self._members
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """One expert of a decision.

    Attributes
    ----------
    quality
        Estimated chance of a right answer in [0, 1]; None when the router does not estimate it.
    cost
        Estimated cost in USD; None when unknown.
    """

    expert: str
    weight: float = 1.0
    quality: float | None = None
    cost: float | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A router's answer: experts, best first, and why.

    Attributes
    ----------
    choices
        At least one expert; the first is the primary, the rest are alternatives in order.
    settled
        False when the router only narrowed the field: a later router of a chain may choose
        among `choices`, reading their weights as a prior.
    """

    choices: tuple[Choice, ...]
    router: str
    reason: str
    confidence: float = 1.0
    settled: bool = True
    id: str = field(default_factory=lambda: new_id("dec"))

    def __post_init__(self) -> None:
        if not self.choices:
            raise ValueError("a decision names at least one expert")
        numbers = [self.confidence]
        for choice in self.choices:
            numbers += (choice.weight, choice.quality or 0.0, choice.cost or 0.0)
        if not all(map(math.isfinite, numbers)):
            # It could be neither shown nor kept: JSON has no such number.
            raise ValueError(f"router {self.router!r} decided with a number that is none")

    @property
    def primary(self) -> str:
        """The expert that leads."""
        return self.choices[0].expert

    @property
    def experts(self) -> tuple[str, ...]:
        """Every expert of the decision, best first."""
        return tuple(choice.expert for choice in self.choices)


class Purpose(StrEnum):
    """What an expert is asked for."""

    ROUTE = "route"
    ANSWER = "answer"


@dataclass(slots=True)
class Call:
    """One expert call in the trace of a request; times are seconds since the request began.

    Attributes
    ----------
    purpose
        `route` where a router asked in order to decide.
    draft
        The answer, where a strategy worked on it instead of sending it on.
    fused
        Who answered together in latent space, the primary first; empty where nobody did.
    """

    expert: str
    started: float
    first_chunk: float | None = None
    finished: float | None = None
    usage: Usage = Usage()
    cost_usd: float = 0.0
    error: str | None = None
    draft: str | None = None
    fused: tuple[str, ...] = ()
    purpose: Purpose = Purpose.ANSWER

    @property
    def answered(self) -> bool:
        """Whether the call has produced anything and has not failed."""
        return self.first_chunk is not None and self.error is None


class Asks(Protocol):
    """What a router asks experts through: the request's own budget, deadline and trace."""

    async def ask(self, expert: str, request: Request) -> str:
        """Return the text that `expert` answers.

        Raises
        ------
        BudgetExceeded
            The calls, tokens or cost left do not allow it.
        ExpertError
            It failed.
        """
