"""Routers tried in order, until one knows."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from pydantic import Field

from motet.config import Options, Setting
from motet.errors import MotetError
from motet.routers.base import Router
from motet.types import Asks, Choice, Decision, Fleet, Request

log = logging.getLogger(__name__)


class ChainConfig(Options):
    """Options of `kind: chain`."""

    of: tuple[str, ...] = Field(min_length=1)
    """Names of routers, in the order they are asked."""
    fallback: str | None = None
    """The expert that answers when none of them knows."""


class ChainRouter(Router):
    """Asks each router in turn; one that only narrows the field hands it to the next."""

    Config = ChainConfig

    def __init__(self, name: str, options: ChainConfig, setting: Setting) -> None:
        super().__init__(name, options, setting)
        if options.fallback is not None:
            setting.check(options.fallback, "fallback")
        self._fallback = options.fallback
        assert setting.router is not None  # whoever builds a router can build others
        self._routers: list[Router] = [setting.router(other) for other in options.of]

    @property
    def asks(self) -> tuple[str, ...]:
        """Whom its routers may ask."""
        return tuple(dict.fromkeys(expert for router in self._routers for expert in router.asks))

    @property
    def remembers(self) -> bool:
        """Whether one of its routers does."""
        return any(router.remembers for router in self._routers)

    async def route(self, request: Request, fleet: Fleet, calls: Asks) -> Decision | None:
        """Return the first settled decision, else the narrowed field, else the fallback.

        A router that fails is passed over, logged and named in the reason.

        Raises
        ------
        MotetError
            From a router that failed, where no other decided and there is no fallback.
        """
        narrowed: Decision | None = None
        failures: dict[str, MotetError] = {}
        for router in self._routers:
            try:
                decision = await router.route(request, fleet, calls)
            except MotetError as error:
                log.warning("router %s passes over %s: %s", self.name, router.name, error)
                failures[router.name] = error
                continue
            except Exception as error:
                # The edge to a router that is not ours, or to the library behind one.
                log.exception("router %s passes over %s", self.name, router.name)
                failures[router.name] = MotetError(
                    f"an internal error ({type(error).__name__}); the log has its cause."
                )
                continue
            if decision is None:
                continue
            if narrowed is not None:
                decision = replace(decision, reason=f"{narrowed.reason}; {decision.reason}")
            if decision.settled:
                return _noting(decision, failures)
            narrowed = decision
            fleet = fleet.only({choice.expert: choice.weight for choice in decision.choices})
        if self._fallback in fleet and self._fallback is not None:
            why = narrowed.reason if narrowed else f"none of {', '.join(self.options.of)} decided"
            narrowed = Decision(
                choices=(Choice(self._fallback),),
                router=self.name,
                reason=f"{why}; fallback {self._fallback!r}",
                confidence=0.0,
            )
        if narrowed is None and failures:
            raise next(iter(failures.values()))
        return narrowed and _noting(narrowed, failures)


def _noting(decision: Decision, failures: Mapping[str, MotetError]) -> Decision:
    """Return `decision` with the routers that failed in its reason."""
    if not failures:
        return decision
    said = [f"router {name!r} failed: {error.message}" for name, error in failures.items()]
    return replace(decision, reason="; ".join([decision.reason, *said]))
