"""What every router is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from motet.config import Options, Setting
from motet.types import Asks, Decision, Fleet, Request, Task


class Router(ABC):
    """Chooses experts for a request.

    A kind is a subclass with a `Config` of its options, named in `motet.routers.ROUTERS` or by an
    entry point of the group `motet.routers`.
    """

    Config: ClassVar[type[Options]] = Options
    artifact: str | None = None
    """What it has learned from, as a digest; None for one that has not learned."""
    task: ClassVar[Task] = Task.ANSWER
    """What those among whom it chooses are asked."""

    def __init__(self, name: str, options: Any, setting: Setting) -> None:
        self.name = name
        self.options = options

    @abstractmethod
    async def route(self, request: Request, fleet: Fleet, calls: Asks) -> Decision | None:
        """Choose among `fleet`, whose members can all take `request` now; at least one is there.

        Returns None when this router does not know, so that another may decide. A router that asks
        an expert asks through `calls`: then it is in the request's trace, usage, cost and budget.
        """

    @property
    def asks(self) -> tuple[str, ...]:
        """Experts that `route` may ask; a batch loads them before it decides."""
        return ()

    @property
    def remembers(self) -> bool:
        """Whether it reads `request.past`, which is then there."""
        return False

    async def start(self) -> None:
        """Load what deciding needs, so that the first request need not wait; may be called again.

        Raises
        ------
        MotetError
            It cannot be loaded; `route` will say the same.
        """
