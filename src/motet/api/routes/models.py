"""`/v1/models`: experts and compositions, which share one name space."""

from __future__ import annotations

import time
from typing import Any

from fastapi import FastAPI, Request

from motet.api.guard import caller_of
from motet.errors import UnknownModel
from motet.service.motet import Motet
from motet.types import Task

_KINDS = {Task.ANSWER: "expert", Task.EMBED: "encoder", Task.MODERATE: "classifier"}

_COMPOSED = {**dict.fromkeys(Task, "composition"), Task.MODERATE: "moderation"}


def add_models(app: FastAPI, service: Motet) -> None:
    """Add the list of models: experts and compositions share one name space."""
    created = int(time.time())

    def describe(name: str) -> dict[str, Any]:
        composition = service.pipeline.compositions[name]
        description = composition.description
        about: dict[str, Any] = {"kind": _COMPOSED[composition.task], "description": description}
        if name in service.fleet.view:
            member = service.fleet.view[name]
            card = member.card
            about = {
                "kind": _KINDS[composition.task],
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

    def names(http: Request) -> list[str]:
        allowed = caller_of(http).models
        every = service.pipeline.compositions
        return [name for name in every if allowed is None or name in allowed]

    @app.get("/v1/models")
    async def models(http: Request) -> dict[str, Any]:
        """List the experts and compositions that the caller may ask."""
        return {"object": "list", "data": [describe(name) for name in names(http)]}

    @app.get("/v1/models/{name:path}")
    async def model(http: Request, name: str) -> dict[str, Any]:
        """Describe one expert or composition."""
        known = names(http)
        if name not in known:
            raise UnknownModel(name, known)
        return describe(name)
