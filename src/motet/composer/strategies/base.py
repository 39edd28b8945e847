"""What every strategy is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from motet.composer.calls import Calls
from motet.config import ExpertEntry, Options
from motet.errors import ConfigError, did_you_mean
from motet.types import Chunk, Decision, Request


@dataclass(frozen=True, slots=True)
class Around:
    """What a strategy may refer to while it is built.

    Attributes
    ----------
    experts
        Ids of all configured experts.
    folder
        Where relative paths in options start.
    entries
        The experts' entries in the config, by id.
    """

    experts: tuple[str, ...]
    folder: Path
    entries: Mapping[str, ExpertEntry] = field(default_factory=dict)

    def check(self, expert: str | None, *at: str) -> None:
        """Raise `ConfigError` at the option `at` unless `expert` is None or exists."""
        if expert is not None and expert not in self.experts:
            raise ConfigError(f"no expert {expert!r}. {did_you_mean(expert, self.experts)}", at=at)


class Strategy(ABC):
    """Turns a decision into one answer stream.

    A kind is a subclass with a `Config` of its options, named in `motet.composer.STRATEGIES` or by
    an entry point of the group `motet.strategies`. One instance serves all requests at once, so
    `run` keeps nothing on `self`. Told the same, it asks the same: a batch runs it anew for each
    step, against the answers there are (motet.batch.replay).
    """

    Config: ClassVar[type[Options]] = Options

    def __init__(self, options: Any, around: Around) -> None:
        """Keep the options.

        Raises
        ------
        ConfigError
            They do not fit what is around; `at` names the option.
        """
        self.options = options

    def stages(self, decision: Decision) -> tuple[tuple[str, ...], ...]:
        """Return whom `run` will most likely ask: a tuple of experts for each step, in turn.

        A batch reads it to load each expert once; `run` may still ask others, or fewer.
        """
        return ((decision.primary,),)

    @abstractmethod
    def run(
        self, request: Request, decision: Decision, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Answer `request` with the experts of `decision`.

        Every expert is reached through `calls`, which keeps the budget and the trace; the expert
        whose words go out is named with `calls.lead`.
        """
