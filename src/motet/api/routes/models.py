"""`/v1/models`: experts and compositions, which share one name space."""

from __future__ import annotations

import time
from typing import Any

from fastapi import FastAPI

from motet.errors import UnknownModel
from motet.service.motet import Motet


def add_models(app: FastAPI, service: Motet) -> None:
    """Add the list of models: experts and compositions share one name space."""
    created = int(time.time())

    def describe(name: str) -> dict[str, Any]:
        description = service.pipeline.compositions[name].description
        about: dict[str, Any] = {"kind": "composition", "description": description}
        if name in service.fleet.view:
            member = service.fleet.view[name]
            card = member.card
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
            "motet": about,
        }

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """List experts and compositions."""
        return {
            "object": "list",
            "data": [describe(name) for name in service.pipeline.compositions],
        }

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        """Describe one expert or composition."""
        if name not in service.pipeline.compositions:
            raise UnknownModel(name, service.pipeline.compositions)
        return describe(name)
