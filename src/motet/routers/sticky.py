"""`kind: sticky`: a conversation stays with its expert until another is worth a cold prompt cache.

An expert that has answered a conversation has its beginning in its prompt cache: to go on costs
`price.cached_input` for it, and elsewhere all of it is read anew. What that costs is weighed
against what the other's answer is expected to be better by.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field, NonNegativeFloat, PositiveFloat

from motet.conditions.condition import Condition
from motet.config import Options, Setting
from motet.routers.base import Router
from motet.types import Asks, Choice, Decision, Fleet, Request, message_texts

_MILLION = 1_000_000


class Latch(Options):
    """When a conversation moves up for good."""

    when: str
    """A CEL expression as in rules, such as `tool_errors_in_a_row >= 3 || stalled_turns >= 2`."""
    expert: str
    """The expert that it stays with from then on."""


class StickyConfig(Options):
    """Options of `kind: sticky`."""

    of: str
    """Name of the router that decides where a conversation is new, and who would be better."""
    margin: NonNegativeFloat = Field(default=0.05, le=1.0)
    """Estimated quality that another must be better by, beside what the switch costs."""
    worth_usd: PositiveFloat = 0.01
    """USD that a right answer is worth: what a cold prompt cache costs is weighed against it."""
    latch: Latch | None = None
    """Where a conversation in trouble goes for good."""


class StickyRouter(Router):
    """Decides as another router does, and stays with who answered before where that is as good."""

    Config = StickyConfig
    options: StickyConfig

    def __init__(self, name: str, options: StickyConfig, setting: Setting) -> None:
        super().__init__(name, options, setting)
        assert setting.router is not None  # whoever builds a router can build others
        self._router: Router = setting.router(options.of)
        self._trouble: Condition | None = None
        if options.latch is not None:
            setting.check(options.latch.expert, "latch", "expert")
            self._trouble = Condition.at(options.latch.when, "latch", "when")
        self.artifact = self._router.artifact

    @property
    def asks(self) -> tuple[str, ...]:
        """Whom the router behind it may ask."""
        return self._router.asks

    @property
    def remembers(self) -> bool:
        """Whether it reads what was before: always."""
        return True

    async def start(self) -> None:
        """Start the router behind it."""
        await self._router.start()

    async def route(self, request: Request, fleet: Fleet, calls: Asks) -> Decision | None:
        """Return the decision of the router behind it, or one that stays where it is worth it."""
        decision = await self._router.route(request, fleet, calls)
        if (latched := self._latched(request, fleet, decision)) is not None:
            return latched
        held = request.past.expert
        if not held:
            return decision
        if decision is None:
            return self._led(held, None, "the router decides nothing") if held in fleet else None
        if held not in fleet:
            why = f"{held!r}, which answered before, cannot now; {decision.reason}"
            return replace(decision, router=self.name, reason=why)
        if held == decision.primary:
            reason = f"{held!r} answered before and is still the choice; {decision.reason}"
            return replace(decision, router=self.name, reason=reason)
        return self._weighed(request, fleet, decision)

    def _latched(
        self, request: Request, fleet: Fleet, decision: Decision | None
    ) -> Decision | None:
        """Return the decision on a conversation that moves up for good, or did before."""
        expert, why = request.past.latched, "the conversation was moved up for good before"
        latch = self.options.latch
        if not expert and latch is not None and self._trouble is not None:
            if self._trouble.holds(request):
                expert, why = latch.expert, f"in trouble ({latch.when}), for good"
        if not expert or expert not in fleet:
            return None
        return replace(self._led(expert, decision, why), latched=True)

    def _weighed(self, request: Request, fleet: Fleet, decision: Decision) -> Decision:
        """Return who leads: the choice, or who answered before."""
        held, best = request.past.expert, decision.choices[0]
        mine = next((choice for choice in decision.choices if choice.expert == held), None)
        if mine is None:
            why = f"leaves {held!r}, which is none of the choices now; {decision.reason}"
            return replace(decision, router=self.name, reason=why)
        loss = _cold_usd(request, fleet, held, best.expert)
        needed = self.options.margin + loss / self.options.worth_usd
        gain = _gain(mine, best, decision)
        weighed = (
            f"{best.expert!r} is expected {gain:.2f} better than {held!r}, which answered before; "
            f"a switch needs {needed:.2f}: the margin of {self.options.margin:g}, and "
            f"{loss:.2g} USD for a prompt cache that is cold"
        )
        if gain > needed:
            return replace(decision, router=self.name, reason=f"{weighed}; {decision.reason}")
        return self._led(held, decision, weighed)

    def _led(self, expert: str, decision: Decision | None, why: str) -> Decision:
        """Return a decision in which `expert` is first, and the other choices stand by."""
        if decision is None:
            return Decision(choices=(Choice(expert),), router=self.name, reason=why)
        first = [choice for choice in decision.choices if choice.expert == expert]
        others = [choice for choice in decision.choices if choice.expert != expert]
        lead = first[0] if first else Choice(expert)
        return replace(
            decision,
            choices=(replace(lead, weight=max(lead.weight, 1.0)), *others),
            router=self.name,
            reason=f"stays with {expert!r}: {why}; {decision.reason}",
            settled=True,
        )


def _gain(mine: Choice, best: Choice, decision: Decision) -> float:
    """Return what `best` is expected to be better by; a router without estimates is believed."""
    if mine.quality is None or best.quality is None:
        return decision.confidence
    return best.quality - mine.quality


def _cold_usd(request: Request, fleet: Fleet, held: str, other: str) -> float:
    """Return what the conversation so far costs more to read for `other` than for `held`."""
    tokens = max(request.estimated_tokens - _newest_tokens(request), 0)
    cold, warm = fleet[other].card.price.input, fleet[held].card.price.warm_input
    return max(cold - warm, 0.0) * tokens / _MILLION


def _newest_tokens(request: Request) -> int:
    """Return about how many tokens are new in this turn: what stands behind the last answer."""
    new = 0
    for message in reversed(request.messages):
        if message.get("role") == "assistant":
            break
        new += sum(map(len, message_texts(message))) // 4 + 4
    return new
