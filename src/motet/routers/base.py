"""What every router is, and what it may ask for while it is built."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from motet.config import Options
from motet.errors import ConfigError, did_you_mean
from motet.types import Decision, Fleet, Request

if TYPE_CHECKING:
    from motet.encoders.live import Encoders

Ask = Callable[[str, Request], Awaitable[str]]
"""Asks an expert by its id and returns the whole text of its answer."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a router may refer to while it is built.

    Attributes
    ----------
    experts
        Ids of all configured experts.
    router
        Returns another configured router by name; raises `ConfigError` when there is none or
        when the two need each other.
    folder
        Where relative paths in options start.
    encoders
        The encoders that routers share; None where nothing will be encoded.
    ask
        How a router asks an expert for a short text of its own; None where it cannot.
    kind
        The kind that the config names, for classes that serve several; None when it is not said.
    """

    experts: tuple[str, ...]
    router: Callable[[str], Router]
    folder: Path
    encoders: Encoders | None = None
    ask: Ask | None = None
    kind: str | None = None

    def check(self, names: Iterable[str], *at: str | int) -> None:
        """Raise `ConfigError` at the option `at` for the first name that is no expert."""
        for name in names:
            if name not in self.experts:
                raise ConfigError(f"no expert {name!r}. {did_you_mean(name, self.experts)}", at=at)


class Router(ABC):
    """Chooses experts for a request.

    A kind is a subclass with a `Config` of its options, named in `motet.routers.ROUTERS` or by an
    entry point of the group `motet.routers`.
    """

    Config: ClassVar[type[Options]] = Options

    def __init__(self, name: str, options: Any, around: Surroundings) -> None:
        self.name = name
        self.options = options

    @abstractmethod
    async def route(self, request: Request, fleet: Fleet) -> Decision | None:
        """Choose among `fleet`, whose members can all take `request` now; at least one is there.

        Returns None when this router does not know, so that another may decide.
        """

    async def start(self) -> None:
        """Load what deciding needs, so that the first request need not wait; may be called again.

        Raises
        ------
        MotetError
            It cannot be loaded; `route` will say the same.
        """
