"""`/v1/batches`, in OpenAI's format."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Query, Request

from motet.api.guard import caller_of, read_body
from motet.api.routes.forms import page, takes
from motet.batch.service import BatchService
from motet.config import Service
from motet.protocol.batches import BatchBody


def add_batches(app: FastAPI, batches: BatchService, service: Service) -> None:
    """Add the endpoints of batches."""

    @app.post(
        "/v1/batches",
        openapi_extra=takes("application/json", {"$ref": "#/components/schemas/BatchBody"}),
    )
    async def create(http: Request) -> dict[str, Any]:
        """Begin to answer a file of requests."""
        body = BatchBody.read(await read_body(http, service))
        return await batches.create(body, caller_of(http))

    @app.get("/v1/batches")
    async def listing(
        http: Request, after: str | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 20
    ) -> dict[str, Any]:
        """List batches, newest first."""
        return page(*await batches.records(caller_of(http)).listing(after, limit))

    @app.get("/v1/batches/{id}")
    async def retrieve(http: Request, id: str) -> dict[str, Any]:
        """Describe one batch."""
        return await batches.records(caller_of(http)).get(id)

    @app.post("/v1/batches/{id}/cancel")
    async def cancel(http: Request, id: str) -> dict[str, Any]:
        """Stop a batch; what it has answered can be read."""
        return await batches.cancel(id, caller_of(http))
