"""`/health`, `/ready` and `/metrics`: what operators and their tools ask."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import FastAPI, Request, Response

import motet
from motet.api.guard import caller_of
from motet.operations.metrics import Metrics
from motet.service.keeping import Keeper
from motet.service.motet import Motet
from motet.types import Fleet


def add_health(app: FastAPI, service: Motet, metrics: Metrics, keeper: Keeper) -> None:
    """Add what operators and their tools ask."""

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Say that this process lives; says nothing of experts."""
        return {"status": "ok", "version": motet.__version__}

    @app.get("/ready")
    async def ready(http: Request) -> Response:
        """Say which experts can answer, and why the others cannot; 503 when none can.

        The store is told of too; nobody needs it to be answered.
        """
        report, status = _readiness(service.fleet.view, caller_of(http).may("metrics"))
        report["store"] = keeper.state
        headers = {} if status == 200 else {"retry-after": "5"}
        return Response(orjson.dumps(report), status, headers, media_type="application/json")

    @app.get("/metrics")
    async def prometheus() -> Response:
        """Return metrics in Prometheus's text format."""
        await service.observers.flush(of=metrics)  # it hears of a request a moment after it
        text = metrics.render(service.fleet.view, service.observers.lost)
        return Response(text, media_type="text/plain; version=0.0.4")


def _readiness(fleet: Fleet, with_reasons: bool) -> tuple[dict[str, Any], int]:
    experts = {
        name: {
            "state": member.health.state,
            "reason": member.health.reason if with_reasons else "",
            "optional": member.card.optional,
        }
        for name, member in fleet.items()
    }
    up = [name for name, member in fleet.items() if member.health.ready]
    whole = all(member.health.ready or member.card.optional for member in fleet.values())
    report = {"ready": bool(up), "complete": whole, "experts": experts}
    return report, 200 if up else 503
