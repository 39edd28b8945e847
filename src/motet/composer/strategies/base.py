"""What every strategy is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from typing import Any, ClassVar

from motet.composer.calls import Calls
from motet.config import Options, Setting
from motet.types import Chunk, Decision, Request


class Strategy(ABC):
    """Turns a decision into one answer stream.

    A kind is a subclass with a `Config` of its options, named in `motet.composer.STRATEGIES` or by
    an entry point of the group `motet.strategies`. One instance serves all requests at once, so
    `run` keeps nothing on `self`. Told the same, it asks the same: a batch runs it anew for each
    step, against the answers there are (motet.batch.replay).
    """

    Config: ClassVar[type[Options]] = Options

    def __init__(self, options: Any, setting: Setting) -> None:
        """Keep the options.

        Raises
        ------
        ConfigError
            They do not fit the config; `at` names the option.
        """
        self.options = options

    def stages(self, decision: Decision) -> tuple[tuple[str, ...], ...]:
        """Return whom `run` will most likely ask: a tuple of experts for each step, in turn.

        A batch reads it to load each expert once; `run` may still ask others, or fewer.
        """
        return ((decision.primary,),)

    @property
    def remembers(self) -> bool:
        """Whether it reads `request.past`, which is then there."""
        return False

    @abstractmethod
    def run(
        self, request: Request, decision: Decision, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Answer `request` with the experts of `decision`.

        Every expert is reached through `calls`, which keeps the budget and the trace; the expert
        whose words go out is named with `calls.lead`.
        """
