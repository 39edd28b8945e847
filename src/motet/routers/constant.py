"""Always the same expert: the control that every learned router must beat."""

from __future__ import annotations

from motet.config import Options, Setting
from motet.routers.base import Router
from motet.types import Asks, Choice, Decision, Fleet, Request


class ConstantConfig(Options):
    """Options of `kind: constant`."""

    expert: str
    """The expert that answers."""
    fallbacks: tuple[str, ...] = ()
    """Experts that stand in, in order, when it cannot."""


class ConstantRouter(Router):
    """Names the first of its experts that is in the fleet, the others behind it."""

    Config = ConstantConfig

    def __init__(self, name: str, options: ConstantConfig, setting: Setting) -> None:
        super().__init__(name, options, setting)
        setting.check(options.expert, "expert")
        for number, fallback in enumerate(options.fallbacks):
            setting.check(fallback, "fallbacks", number)
        self._order = tuple(dict.fromkeys((options.expert, *options.fallbacks)))

    async def route(self, request: Request, fleet: Fleet, calls: Asks) -> Decision | None:
        """Return the configured order, less the experts that are absent."""
        present = tuple(expert for expert in self._order if expert in fleet)
        if not present:
            return None
        absent = self._order[: self._order.index(present[0])]
        reason = f"always {present[0]!r}"
        if absent:
            reason = f"{present[0]!r} stands in for {', '.join(map(repr, absent))}"
        return Decision(
            choices=tuple(Choice(expert) for expert in present), router=self.name, reason=reason
        )
