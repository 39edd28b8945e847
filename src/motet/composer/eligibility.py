"""Hard limits, applied before any router: who can take this request at all."""

from __future__ import annotations

from motet.errors import NoExpertAvailable, UnsupportedRequest
from motet.types import Fleet, Request

_RETRY_AFTER_S = 5.0


def eligible(request: Request, fleet: Fleet) -> Fleet:
    """Return the members that are ready and have what `request` needs.

    Members whose context is likely too short are left out while others remain; the estimate is
    rough, so it never refuses a request by itself: engines count exactly.

    Raises
    ------
    UnsupportedRequest
        No member, ready or not, has the capabilities.
    NoExpertAvailable
        Members have them, but none is ready; says why, and when to come back.
    """
    able = [member for member in fleet.values() if request.needs <= member.card.capabilities]
    if not able:
        raise UnsupportedRequest(_missing(request, fleet))
    ready = [member for member in able if member.health.ready]
    if not ready:
        reasons = "; ".join(
            f"{member.card.id} is {member.health.state} ({member.health.reason})" for member in able
        )
        raise NoExpertAvailable(
            f"No expert can answer now: {reasons}.",
            hint="See /ready.",
            retry_after=_RETRY_AFTER_S,
        )
    wanted = request.estimated_tokens + (request.max_tokens or 0)
    roomy = [m for m in ready if m.card.context is None or m.card.context >= wanted]
    return Fleet(roomy or ready)


def _missing(request: Request, fleet: Fleet) -> str:
    if len(fleet) == 1:
        (member,) = fleet.values()
        lacking = ", ".join(sorted(request.needs - member.card.capabilities))
        return f"Expert {member.card.id!r} does not support {lacking}."
    needs = ", ".join(sorted(request.needs))
    return f"No expert supports all that this request needs: {needs}."
