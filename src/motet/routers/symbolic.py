"""Ordered rules; the first that matches decides."""

from __future__ import annotations

import asyncio

from pydantic import Field, PositiveFloat, model_validator

from motet.conditions.condition import Condition
from motet.conditions.language import identifier
from motet.config import Options, Setting
from motet.routers.base import Router
from motet.types import Asks, Choice, Decision, Fleet, Request

_ACTIONS = ("use", "allow", "deny", "weigh")


class Rule(Options):
    """One rule: a condition and exactly one action."""

    name: str
    """What explanations call it."""
    when: str = "true"
    """A CEL expression over the request's features."""
    use: tuple[str, ...] | None = None
    """Pin: these experts and no other, in this order."""
    allow: tuple[str, ...] | None = None
    """Narrow the field to these."""
    deny: tuple[str, ...] | None = None
    """Narrow the field to all but these."""
    weigh: dict[str, PositiveFloat] | None = None
    """Multiply the prior weights of these experts."""

    @model_validator(mode="after")
    def _one_action(self) -> Rule:
        given = [action for action in _ACTIONS if getattr(self, action)]
        if len(given) != 1:
            raise ValueError(
                f"a rule has exactly one action of {', '.join(_ACTIONS)}; this one has "
                f"{', '.join(given) or 'none'}"
            )
        return self

    @property
    def action(self) -> str:
        """Which of the actions this rule takes."""
        return next(action for action in _ACTIONS if getattr(self, action))

    def choices(self, fleet: Fleet) -> tuple[Choice, ...]:
        """Return the experts left by this rule with their weights, best first."""
        if self.action in ("use", "allow"):
            named = dict.fromkeys(self.use or self.allow or ())
            return tuple(Choice(e, fleet[e].weight) for e in named if e in fleet)
        if self.action == "deny":
            denied = frozenset(self.deny or ())
            return tuple(Choice(e, m.weight) for e, m in fleet.items() if e not in denied)
        factors = self.weigh or {}
        weighed = (Choice(e, m.weight * factors.get(e, 1.0)) for e, m in fleet.items())
        return tuple(sorted(weighed, key=lambda choice: -choice.weight))


class SymbolicConfig(Options):
    """Options of `kind: symbolic`."""

    rules: tuple[Rule, ...] = Field(min_length=1)
    """Tried in order; the first whose condition holds, and which leaves an expert, decides."""


class SymbolicRouter(Router):
    """Decides by the first rule that matches and leaves an expert to choose."""

    Config = SymbolicConfig

    def __init__(self, name: str, options: SymbolicConfig, setting: Setting) -> None:
        super().__init__(name, options, setting)
        self._rules: list[tuple[Rule, Condition]] = []
        for number, rule in enumerate(options.rules):
            for expert in getattr(rule, rule.action):
                setting.check(expert, "rules", number, rule.action)
            self._rules.append((rule, Condition.at(rule.when, "rules", number, "when")))
        self._is_ready = not any("language" in condition.reads for _, condition in self._rules)

    @property
    def remembers(self) -> bool:
        """Whether a rule reads what was before."""
        return any(condition.remembers for _, condition in self._rules)

    async def start(self) -> None:
        """Load what tells languages apart, where a rule asks for it."""
        if not self._is_ready:
            await asyncio.to_thread(identifier)
            self._is_ready = True

    async def route(self, request: Request, fleet: Fleet, calls: Asks) -> Decision | None:
        """Return what the first matching rule says; None when no rule matches."""
        await self.start()
        for rule, condition in self._rules:
            if not condition.holds(request):
                continue
            # What a rule leaves of a fleet is the same for every request it matches.
            choices = fleet.derived(condition, rule.choices)
            if not choices:
                continue  # all its experts are absent: the next rule may do better
            return Decision(
                choices=choices,
                router=self.name,
                reason=f"rule {rule.name!r}: {rule.when}",
                settled=rule.action == "use",
            )
        return None
