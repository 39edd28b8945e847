"""`/v1/files`, in OpenAI's format."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from starlette.datastructures import UploadFile
from starlette.responses import FileResponse
from starlette.types import Message

from motet.api.guard import caller_of
from motet.api.routes.forms import page, takes
from motet.batch.service import BatchService
from motet.config import Service
from motet.errors import RequestError, RequestTimeout, RequestTooLarge
from motet.wording import did_you_mean

_OVERHEAD = 64 * 1024  # what a form's boundaries and other fields may add to the file
_FORM = {
    "type": "object",
    "required": ["file", "purpose"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "JSON lines."},
        "purpose": {"type": "string", "enum": ["batch"]},
    },
}
Limit = Annotated[int, Query(ge=1, le=10_000)]


def add_files(app: FastAPI, batches: BatchService, service: Service) -> None:
    """Add the endpoints of files."""

    @app.post("/v1/files", openapi_extra=takes("multipart/form-data", _FORM))
    async def upload(http: Request) -> dict[str, Any]:
        """Keep a file of requests for a batch."""
        async with _bounded(http, service).form(max_files=1, max_fields=16) as form:
            file, purpose = form.get("file"), form.get("purpose")
            if not isinstance(file, UploadFile):
                raise RequestError("file: a file is required.", param="file")
            if purpose != "batch":
                raise RequestError(
                    f"purpose: {purpose!r} is not supported.",
                    hint=did_you_mean(purpose, ["batch"]),
                    param="purpose",
                )
            files = batches.files(caller_of(http))
            return await files.add(file.filename or "upload.jsonl", file.file)

    @app.get("/v1/files")
    async def listing(
        http: Request, after: str | None = None, limit: Limit = 10_000, purpose: str | None = None
    ) -> dict[str, Any]:
        """List files, newest first."""
        return page(*await batches.files(caller_of(http)).listing(after, limit, purpose))

    @app.get("/v1/files/{id}")
    async def retrieve(http: Request, id: str) -> dict[str, Any]:
        """Describe one file."""
        return await batches.files(caller_of(http)).get(id)

    @app.get("/v1/files/{id}/content")
    async def content(http: Request, id: str) -> Response:
        """Return what is in a file."""
        files = batches.files(caller_of(http))
        file = await files.get(id)
        return FileResponse(files.path(file["id"]), media_type="application/jsonl")

    @app.delete("/v1/files/{id}")
    async def delete(http: Request, id: str) -> dict[str, Any]:
        """Delete a file, unless a batch still reads it."""
        await batches.remove_file(id, caller_of(http))
        return {"id": id, "object": "file", "deleted": True}


def _bounded(http: Request, service: Service) -> Request:
    """Return a request whose body ends in an error when it is too large or stays away."""
    limit = int(service.batches.max_file_bytes)
    size, end = 0, asyncio.get_running_loop().time() + service.batches.upload_timeout_s
    announced = http.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit + _OVERHEAD:
        raise _too_large(limit, int(announced))

    async def receive() -> Message:
        nonlocal size
        try:
            async with asyncio.timeout(service.body_timeout_s), asyncio.timeout_at(end):
                message = await http.receive()
        except TimeoutError:
            raise RequestTimeout(
                f"The file did not arrive within {service.batches.upload_timeout_s:g} s, "
                f"or nothing more of it within {service.body_timeout_s:g} s."
            ) from None
        size += len(message.get("body", b""))
        if size > limit + _OVERHEAD:
            raise _too_large(limit, None)
        return message

    return Request(http.scope, receive)


def _too_large(limit: int, size: int | None) -> RequestTooLarge:
    return RequestTooLarge(limit=limit, size=size, setting="service.batches.max_file_bytes")
