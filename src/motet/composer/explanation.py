"""Who answered and why, as the plain JSON values that clients and the command line are shown."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from motet.composer.calls import Calls
from motet.types import Decision

_TIMES = ("started", "first_chunk", "finished")
_SPAN = ("span",)


def decision_json(composition: str, decision: Decision) -> dict[str, Any]:
    """Return a decision as the service and the command line show it."""
    return {
        "object": "motet.decision",
        "id": decision.id,
        "composition": composition,
        "router": decision.router,
        "primary": decision.primary,
        "experts": [
            {"id": c.expert, "weight": c.weight, "quality": c.quality, "cost_usd": c.cost}
            for c in decision.choices
        ],
        "confidence": decision.confidence,
        "reason": decision.reason,
    }


def explanation(
    composition: str, decision: Decision, calls: Calls, *, timed: bool = True
) -> dict[str, Any]:
    """Return who was asked, why, and what it took, as plain JSON values.

    Parameters
    ----------
    timed
        Whether it says when; the times of a replay mean nothing.
    """
    hidden = _SPAN if timed else _SPAN + _TIMES
    trace = [{k: v for k, v in asdict(call).items() if k not in hidden} for call in calls.trace]
    return {
        "composition": composition,
        "decision": decision_json(composition, decision),
        "experts": trace,
        "usage": asdict(calls.usage),
        "cost_usd": calls.cost_usd,
    }
