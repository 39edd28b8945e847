"""One request's way: composition, limits, decision, strategy, chunks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from motet.composer.calls import Calls
from motet.composer.eligibility import eligible, roomy_first
from motet.composer.strategies.base import Strategy
from motet.config import Limits
from motet.errors import DeadlineExceeded, MotetError, NoExpertAvailable, UnknownModel
from motet.experts.fleet import LiveFleet
from motet.routers import Router
from motet.types import Choice, Chunk, Decision, Fleet, Request, decision_json

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """A composition, built.

    Attributes
    ----------
    router
        None for the composition that every expert is by itself.
    """

    name: str
    strategy: Strategy
    limits: Limits
    router: Router | None = None
    description: str = ""


class Pipeline:
    """Finds the composition, asks its router once, and runs its strategy."""

    def __init__(self, fleet: LiveFleet, plans: Mapping[str, Plan]) -> None:
        self.fleet = fleet
        self.plans = plans

    async def decide(self, request: Request) -> Decision:
        """Return which experts would answer `request`, and why.

        Raises
        ------
        UnknownModel
            No expert or composition is called `request.model`.
        UnsupportedRequest, NoExpertAvailable
            Nobody can take it; see `eligible`.
        """
        plan = self.plans.get(request.model)
        if plan is None:
            raise UnknownModel(request.model, self.plans)
        if plan.router is None:
            eligible(request, Fleet([self.fleet.view[plan.name]]))
            return Decision(
                choices=(Choice(plan.name),), router="direct", reason="named by the client"
            )
        fleet = eligible(request, self.fleet.view)
        decision = await plan.router.route(request, fleet)
        if decision is None:
            raise NoExpertAvailable(
                f"Router {plan.router.name!r} chose no expert of those that can answer now.",
                hint="Give its chain a fallback.",
                retry_after=5.0,
            )
        return roomy_first(request, decision, fleet)

    async def answer(self, request: Request) -> Answer:
        """Begin to answer: decide, and hold the strategy ready to run."""
        began = asyncio.get_running_loop().time()
        decision = await self.decide(request)
        return Answer(request, decision, self.plans[request.model], self.fleet, began)


class Answer:
    """An answer under way: an async iterator of chunks that ends its expert calls with itself.

    Use it as a context manager; leaving it, for whatever reason, stops every call it began.
    """

    def __init__(
        self, request: Request, decision: Decision, plan: Plan, fleet: LiveFleet, began: float
    ) -> None:
        self.request = request
        self.decision = decision
        self.plan = plan
        self.calls = Calls(fleet, plan.limits)
        self._deadline = began + plan.limits.deadline_s
        self._chunks: AsyncGenerator[Chunk, None] = plan.strategy.run(request, decision, self.calls)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._chunks.aclose()
        await self.calls.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        try:
            async with asyncio.timeout_at(self._deadline):
                return await anext(self._chunks)
        except TimeoutError:
            raise DeadlineExceeded(
                f"The {self.plan.limits.deadline_s:g} s allowed for {self.plan.name!r} are over.",
                hint="Ask for fewer tokens, or raise deadline_s in the composition's limits.",
            ) from None
        except (MotetError, StopAsyncIteration):
            raise
        except Exception as error:
            # The edge between Motet and code it does not own: a strategy, an engine, a library.
            log.exception("request %s failed in %s", self.request.id, self.plan.name)
            raise MotetError(
                "An internal error ended the answer; the log has its cause."
            ) from error

    @property
    def author(self) -> str:
        """The expert whose words the client reads."""
        return self.calls.author or self.decision.primary

    def explain(self) -> dict[str, Any]:
        """Return who was asked, why, and what it took, as plain JSON values."""
        return {
            "composition": self.plan.name,
            "decision": decision_json(self.plan.name, self.decision),
            "experts": [asdict(call) for call in self.calls.trace],
            "usage": asdict(self.calls.usage),
            "cost_usd": self.calls.cost_usd,
        }
