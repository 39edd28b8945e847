"""An answer: its pieces, and what it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written, summed over every expert call of a request.

    Attributes
    ----------
    details
        What else an expert counts, in its own words: cached tokens, tokens of reasoning.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def total_tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def cached_tokens(self) -> int:
        """Prompt tokens that the expert had in its cache, where it says so."""
        return self._counted("prompt_tokens_details", "cached_tokens", self.prompt_tokens)

    @property
    def cache_write_tokens(self) -> int:
        """Prompt tokens that the expert put into its cache, where it says so."""
        return self._counted("prompt_tokens_details", "cache_write_tokens", self.prompt_tokens)

    @property
    def reasoning_tokens(self) -> int:
        """Generated tokens that were thoughts, where the expert says so."""
        return self._counted(
            "completion_tokens_details", "reasoning_tokens", self.completion_tokens
        )

    def _counted(self, details: str, name: str, most: int) -> int:
        counts = self.details.get(details)
        count = counts.get(name) if isinstance(counts, Mapping) else None
        return min(most, max(0, count)) if isinstance(count, int) else 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            _summed(self.details, other.details),
        )


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens.

    Attributes
    ----------
    cached_input
        Of prompt tokens that the expert has in its prompt cache; as all others when None.
    """

    input: float = 0.0
    output: float = 0.0
    cached_input: float | None = None

    @property
    def warm_input(self) -> float:
        """USD per million prompt tokens that are read from a cache."""
        return self.input if self.cached_input is None else self.cached_input

    def of(self, usage: Usage) -> float:
        """Return what `usage` costs, in USD."""
        warm = 0 if self.cached_input is None else min(usage.cached_tokens, usage.prompt_tokens)
        return (
            (usage.prompt_tokens - warm) * self.input
            + warm * self.warm_input
            + usage.completion_tokens * self.output
        ) / 1_000_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one answer.

    Fields that Motet has no slot for travel on as an expert sent them, each where it stood.

    Attributes
    ----------
    index
        Which of the request's `n` choices this piece belongs to.
    values
        What is said of each text that was asked about, in order: a `[width]` vector, or scores by
        category.
    finish
        Why the choice ended (`stop`, `length`, `tool_calls`, ...); None while it goes on.
    usage
        Tokens of the whole expert call; sent once, with or after the last piece.
    message_extra
        Fields of the message: a refusal, images, audio, citations, encrypted reasoning.
    choice_extra
        Fields beside the message, such as a content filter's results.
    answer_extra
        Fields of the whole answer, such as `system_fingerprint`.
    """

    index: int = 0
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    logprobs: Mapping[str, Any] | None = None
    values: tuple[Any, ...] = ()
    finish: str | None = None
    usage: Usage | None = None
    message_extra: Mapping[str, Any] = field(default_factory=dict)
    choice_extra: Mapping[str, Any] = field(default_factory=dict)
    answer_extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def says_nothing(self) -> bool:
        """Whether the chunk brings nothing of the answer itself, such as one that names a role."""
        said = self.text or self.reasoning or self.tool_calls or self.logprobs or self.values
        return not (said or self.finish or self.message_extra)

    @property
    def is_usage_alone(self) -> bool:
        """Whether the chunk counts tokens and brings nothing of the answer itself."""
        return self.usage is not None and self.says_nothing


def _summed(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return details with their numbers added up; of anything else the newest stays."""
    if not ours or not theirs:
        return ours or theirs
    return {**ours, **{name: _sum(ours.get(name), value) for name, value in theirs.items()}}


def _sum(old: Any, new: Any) -> Any:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return _summed(old, new)
    numbers = (int, float)
    return old + new if isinstance(old, numbers) and isinstance(new, numbers) else new
