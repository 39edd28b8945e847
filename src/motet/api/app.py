"""The HTTP service: a factory that puts routes around one `Motet`."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

import motet
from motet.api.answer import AnswerResponse
from motet.api.errors import (
    on_bad_parameter,
    on_http_error,
    on_motet_error,
    on_unexpected_error,
)
from motet.api.guard import KeyCheck, read_body
from motet.api.metrics import Metrics, SwapMetrics
from motet.api.routes.batches import add_batches, add_files
from motet.batch.service import BatchService
from motet.errors import MotetError, UnknownModel
from motet.protocol.batches import BatchBody
from motet.protocol.encode import ChatEncoder, CompletionEncoder
from motet.protocol.schema import Body, ChatBody, CompletionBody
from motet.service.motet import Motet
from motet.types import Fleet, decision_json

_BODIES: tuple[type[BaseModel], ...] = (ChatBody, CompletionBody, BatchBody)


def create_app(service: Motet) -> FastAPI:
    """Return the ASGI app that serves `service`, which starts and closes with it."""
    batches = BatchService(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service, batches:
            yield

    app = FastAPI(
        title="Motet",
        version=motet.__version__,
        summary="Many expert language models behind one endpoint.",
        lifespan=lifespan,
        exception_handlers={
            MotetError: on_motet_error,
            HTTPException: on_http_error,
            RequestValidationError: on_bad_parameter,
            Exception: on_unexpected_error,
        },
    )
    app.add_middleware(KeyCheck, service=service.config.service)
    app.state.created = int(time.time())
    metrics = Metrics()
    if service.swapper is not None:
        service.swapper.watcher = SwapMetrics(metrics.registry)
    _add_answers(app, service, metrics)
    _add_listings(app, service)
    add_files(app, batches, service.config.service)
    add_batches(app, batches, service.config.service)
    _add_operations(app, service, metrics)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _add_answers(app: FastAPI, service: Motet, metrics: Metrics) -> None:
    """Add the endpoints that answer or decide."""
    settings = service.config.service

    @app.post("/v1/chat/completions", **_takes(ChatBody))
    async def chat_completions(http: Request) -> Response:
        """Answer a chat, as a stream of events or as one body."""
        body = ChatBody.read(await read_body(http, settings))
        return AnswerResponse(service, metrics, body, body.request(), ChatEncoder())

    @app.post("/v1/completions", **_takes(CompletionBody))
    async def completions(http: Request) -> Response:
        """Continue a prompt, as a stream of events or as one body."""
        body = CompletionBody.read(await read_body(http, settings))
        return AnswerResponse(service, metrics, body, body.request(), CompletionEncoder())

    @app.post("/v1/route", **_takes(ChatBody))
    async def route(http: Request) -> dict[str, Any]:
        """Decide which experts would answer, and say why, without asking them."""
        body = ChatBody.read(await read_body(http, settings))
        return decision_json(body.model, await service.route(body.request()))


def _add_listings(app: FastAPI, service: Motet) -> None:
    """Add the list of models: experts and compositions share one name space."""

    def describe(name: str) -> dict[str, Any]:
        plan = service.pipeline.plans[name]
        about: dict[str, Any] = {"kind": "composition", "description": plan.description}
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
        created = app.state.created
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
        return {"object": "list", "data": [describe(name) for name in service.pipeline.plans]}

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        """Describe one expert or composition."""
        if name not in service.pipeline.plans:
            raise UnknownModel(name, service.pipeline.plans)
        return describe(name)


def _add_operations(app: FastAPI, service: Motet, metrics: Metrics) -> None:
    """Add what operators and their tools ask."""

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Say that this process lives; says nothing of experts."""
        return {"status": "ok", "version": motet.__version__}

    @app.get("/ready")
    async def ready() -> Response:
        """Say which experts can answer, and why the others cannot; 503 when none can."""
        report, status = _readiness(service.fleet.view)
        headers = {} if status == 200 else {"retry-after": "5"}
        return _json_response(report, status, headers)

    @app.get("/metrics")
    async def prometheus() -> Response:
        """Return metrics in Prometheus's text format."""
        return Response(metrics.render(service.fleet.view), media_type="text/plain; version=0.0.4")


def _readiness(fleet: Fleet) -> tuple[dict[str, Any], int]:
    experts = {
        name: {
            "state": member.health.state,
            "reason": member.health.reason,
            "optional": member.card.optional,
        }
        for name, member in fleet.items()
    }
    up = [name for name, member in fleet.items() if member.health.ready]
    whole = all(member.health.ready or member.card.optional for member in fleet.values())
    report = {"ready": bool(up), "complete": whole, "experts": experts}
    return report, 200 if up else 503


def _json_response(content: Any, status: int, headers: dict[str, str]) -> Response:
    import orjson

    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def _takes(body: type[Body]) -> dict[str, Any]:
    """Return the OpenAPI part of a route that reads `body` itself, for speed and our errors."""
    schema = {"$ref": f"#/components/schemas/{body.__name__}"}
    return {
        "openapi_extra": {
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}
        },
        "responses": {
            code: {"description": text, "content": {"application/json": {}}}
            for code, text in {
                400: "The request must be changed.",
                404: "Unknown model.",
                413: "The body is too large.",
                429: "The expert's limit is reached.",
                502: "An expert failed.",
                503: "No expert can answer now; see Retry-After.",
                504: "The deadline is over.",
            }.items()
        },
    }


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = FastAPI.openapi(app)
        _, definitions = models_json_schema(
            [(body, "validation") for body in _BODIES],
            ref_template="#/components/schemas/{model}",
        )
        schema.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
        app.openapi_schema = schema
    return app.openapi_schema
