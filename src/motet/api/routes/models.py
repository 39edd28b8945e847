"""`/v1/models`: experts and compositions, which share one name space.

Each is described as OpenAI, vLLM and Anthropic describe theirs, all at once: clients of each read
their own fields.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request

from motet.api.guard import caller_of
from motet.api.routes.forms import page
from motet.errors import UnknownModel
from motet.service.motet import Motet


def add_models(app: FastAPI, service: Motet) -> None:
    """Add the list of models: experts and compositions share one name space."""
    created = int(time.time())
    created_at = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def describe(name: str) -> dict[str, Any]:
        description = service.pipeline.compositions[name].description
        about: dict[str, Any] = {"kind": "composition", "description": description}
        context = None
        if name in service.fleet.view:
            member = service.fleet.view[name]
            card, context = member.card, member.card.context
            about = {
                "kind": "expert",
                "state": member.health.state,
                "description": card.description,
                "engine": card.engine,
                "context": card.context,
                "capabilities": sorted(card.capabilities),
                "skills": card.skills,
                "license": card.license,
            }
        return {
            "id": name,
            "object": "model",
            "created": created,
            "owned_by": "motet",
            **{"root": name, "parent": None, "max_model_len": context},  # as vLLM
            **{"type": "model", "display_name": name, "created_at": created_at},  # as Anthropic
            "motet": about,
        }

    def names(http: Request) -> list[str]:
        allowed = caller_of(http).models
        every = service.pipeline.compositions
        return [name for name in every if allowed is None or name in allowed]

    @app.get("/v1/models")
    async def models(http: Request) -> dict[str, Any]:
        """List the experts and compositions that the caller may ask."""
        return page([describe(name) for name in names(http)], more=False)

    @app.get("/v1/models/{name:path}")
    async def model(http: Request, name: str) -> dict[str, Any]:
        """Describe one expert or composition."""
        known = names(http)
        if name not in known:
            raise UnknownModel(name, known)
        return describe(name)
