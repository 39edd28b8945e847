"""Hard limits, the same for every router: who can take a request, and who has room for it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import NoReturn

from motet.errors import NoExpertAvailable, UnsupportedRequest
from motet.types import Capability, Choice, Decision, Fleet, Health, Member, Request
from motet.wording import listed

_RETRY_AFTER_S = 5.0


def eligible(request: Request, fleet: Fleet) -> Fleet:
    """Return the members that are ready and have what `request` needs.

    Raises
    ------
    UnsupportedRequest
        No member, ready or not, has the capabilities.
    NoExpertAvailable
        Members have them, but none is ready; says why, and when to come back.
    """
    fit = fleet.derived(request.needs, lambda fleet: _fit(request.needs, fleet))
    if not fit:
        _refuse(request, fleet)
    return fit


def _fit(needs: frozenset[Capability], fleet: Fleet) -> Fleet:
    return Fleet(m for m in fleet.values() if m.health.ready and needs <= m.card.capabilities)


def _refuse(request: Request, fleet: Fleet) -> NoReturn:
    able = [member for member in fleet.values() if request.needs <= member.card.capabilities]
    if not able:
        raise UnsupportedRequest(_missing(request, fleet))
    raise NoExpertAvailable(
        f"No expert can answer now: {why_not(able)}.",
        hint="See /ready.",
        retry_after=_RETRY_AFTER_S,
    )


def roomy_first(request: Request, decision: Decision, fleet: Fleet) -> Decision:
    """Return `decision` with the experts whose context is likely too short moved to its end.

    The estimate is rough, so it never refuses a request by itself: engines count exactly.
    """
    wanted = request.estimated_tokens + (request.max_tokens or 0)
    if wanted <= fleet.derived("least context", _least_context):
        return decision  # as most are

    def cramped(choice: Choice) -> bool:
        context = fleet[choice.expert].card.context
        return context is not None and context < wanted

    choices = tuple(sorted(decision.choices, key=cramped))  # stable: order is kept otherwise
    if choices == decision.choices:
        return decision
    reason = f"{decision.reason}; {choices[0].expert!r} first, for room of about {wanted} tokens"
    return replace(decision, choices=choices, reason=reason)


def _least_context(fleet: Fleet) -> float:
    known = (member.card.context for member in fleet.values())
    return min((context for context in known if context is not None), default=math.inf)


def why_not(members: Iterable[Member]) -> str:
    """Return how members are and why, those of one reason together."""
    alike: dict[Health, list[str]] = {}
    for member in members:
        alike.setdefault(member.health, []).append(member.card.id)
    return "; ".join(
        f"{listed(names)} {'is' if len(names) == 1 else 'are'} {health.state}"
        + (f" ({health.reason})" if health.reason else "")
        for health, names in alike.items()
    )


def _missing(request: Request, fleet: Fleet) -> str:
    if len(fleet) == 1:
        (member,) = fleet.values()
        lacking = ", ".join(sorted(request.needs - member.card.capabilities))
        return f"Expert {member.card.id!r} does not support {lacking}."
    needs = ", ".join(sorted(request.needs))
    return f"No expert supports all that this request needs: {needs}."
