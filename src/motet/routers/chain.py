"""Routers tried in order, until one knows."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from motet.config import Options
from motet.routers.base import Router, Surroundings
from motet.types import Choice, Decision, Fleet, Request


class ChainConfig(Options):
    """Options of `kind: chain`."""

    of: tuple[str, ...] = Field(min_length=1)
    """Names of routers, in the order they are asked."""
    fallback: str | None = None
    """The expert that answers when none of them knows."""


class ChainRouter(Router):
    """Asks each router in turn; one that only narrows the field hands it to the next."""

    Config = ChainConfig

    def __init__(self, name: str, options: ChainConfig, around: Surroundings) -> None:
        super().__init__(name, options, around)
        if options.fallback is not None:
            around.check([options.fallback], "fallback")
        self._fallback = options.fallback
        self._routers = [around.router(other) for other in options.of]

    async def route(self, request: Request, fleet: Fleet) -> Decision | None:
        """Return the first settled decision, else the narrowed field, else the fallback."""
        narrowed: Decision | None = None
        for router in self._routers:
            decision = await router.route(request, fleet)
            if decision is None:
                continue
            if narrowed is not None:
                decision = replace(decision, reason=f"{narrowed.reason}; {decision.reason}")
            if decision.settled:
                return decision
            narrowed = decision
            fleet = fleet.only({choice.expert: choice.weight for choice in decision.choices})
        if self._fallback in fleet and self._fallback is not None:
            why = narrowed.reason if narrowed else f"none of {', '.join(self.options.of)} decided"
            return Decision(
                choices=(Choice(self._fallback),),
                router=self.name,
                reason=f"{why}; fallback {self._fallback!r}",
                confidence=0.0,
            )
        return narrowed
