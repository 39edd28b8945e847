"""The one seam to models: everything that can answer is an `Expert`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from typing import Any, ClassVar, Literal

from motet.config import ExpertEntry, Options
from motet.types import Capability, Chunk, ExpertCard, Health, Price, Request, Task
from motet.weights import Setting

SLOTS = 8
"""Requests on one engine at once, where the engine does not say."""


class Expert(ABC):
    """One language model that can answer a request.

    An engine is a subclass with a `Config` of its own options, named in `motet.experts.ENGINES`
    or by an entry point of the group `motet.engines`. Importing it must be cheap: model libraries
    are imported in `start`.

    Attributes
    ----------
    home
        Where `stream` runs on Ray Serve: `ingress` for engines that only wait on a network,
        `pool` for engines that hold a model and get replicas of their own, `vllm` for a pool
        that Ray's vLLM adapter builds.
    elsewhere
        Why it never answers in this process, of an engine that stands for one on Ray; else empty.
    task
        What it is asked; members of another task than answering stand in sections of their own.
    capabilities
        What the engine can do unless the config says otherwise.
    own_fields
        Fields of a body, beyond those of a `Request`, that mean something to this engine alone: a
        client may send them to the expert by name, and through no composition.
    """

    Config: ClassVar[type[Options]] = Options
    home: ClassVar[Literal["ingress", "pool", "vllm"]] = "ingress"
    elsewhere: ClassVar[str] = ""
    task: ClassVar[Task] = Task.ANSWER
    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.CHAT})
    own_fields: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, entry: ExpertEntry, options: Any, setting: Setting) -> None:
        self.entry = entry
        self.options = options
        self.setting = setting
        self.card = card_of(entry, options, type(self).capabilities)

    @property
    def slots(self) -> int:
        """Requests that its engine works on at once; more than that wait for a place."""
        return SLOTS

    @property
    def waiting(self) -> int:
        """Requests that wait for a place in this process."""
        return 0

    @classmethod
    def check(cls, options: Any, experts: Mapping[str, ExpertEntry]) -> None:
        """Check options against the other experts of the config.

        Raises
        ------
        ConfigError
            They do not fit together; `at` names the option.
        """

    @classmethod
    def models(cls, entry: ExpertEntry, setting: Setting) -> tuple[str, ...]:
        """Return the sources of all weights that the engine of `entry` holds; none if it has none.

        Raises
        ------
        ArtifactError
            A file that would say so is absent or damaged.
        """
        model = entry.options.get("model")
        return (str(model),) if model else ()

    def verify(self, experts: Mapping[str, ExpertEntry]) -> None:
        """Check the files that the options name, on the machine where a person can mend them.

        Raises
        ------
        ConfigError
            One is missing or wrong; `at` names the option.
        """

    @abstractmethod
    def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer `request`, piece by piece.

        With `request.stream` false an engine may send each choice whole. Each choice ends with
        a chunk that carries `finish`; the last chunk of all carries `usage`. Closing the
        generator stops the work behind it.

        Raises
        ------
        ExpertError
            The expert failed; raised before or between chunks.
        ContextLengthExceeded
            The prompt and the tokens to generate do not fit.
        """

    @abstractmethod
    async def health(self) -> Health:
        """Return whether the expert can take a request now; never raises, never waits long."""

    async def start(self) -> None:
        """Take what answering needs: connections, weights. Called once, before `stream`.

        Raises
        ------
        SourceError
            Weights cannot be had.
        """

    async def close(self) -> None:
        """Give back what `start` took."""


def card_of(entry: ExpertEntry, options: Any, capabilities: frozenset[Capability]) -> ExpertCard:
    """Return the card of a configured expert."""
    return ExpertCard(
        id=entry.id,
        engine=entry.engine,
        model=str(getattr(options, "model", None) or entry.base or ""),
        context=entry.context,
        capabilities=capabilities if entry.capabilities is None else entry.capabilities,
        skills=entry.skills,
        price=Price(entry.price.input, entry.price.output, entry.price.cached_input),
        description=entry.description,
        license=entry.license,
        optional=entry.optional,
    )
