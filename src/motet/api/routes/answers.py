"""`/v1/chat/completions` and `/v1/completions`, and `/v1/route`, which decides and asks nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from motet.api.answer import AnswerResponse, OpenAnswers
from motet.api.direct import App
from motet.api.guard import caller_of, holder_of, read_body
from motet.composer.explanation import decision_json
from motet.operations.admission import Admissions
from motet.protocol.body import Body
from motet.protocol.chat import ChatBody
from motet.protocol.completions import CompletionBody
from motet.service.motet import Motet
from motet.types import Request, SpanContext

T = TypeVar("T")

_BIG = 2**17


def add_answers(
    app: App,
    service: Motet,
    open_answers: OpenAnswers,
    admissions: Admissions,
    keep_alive_s: float,
) -> None:
    """Add the endpoints that answer or decide."""

    async def answer(kind: type[Body], http: HttpRequest) -> Response:
        body = await read(kind.read, http, service)
        holder = holder_of(http)
        return AnswerResponse(
            service,
            body,
            traced(body.requests(holder.caller), http, service),
            open_answers=open_answers,
            enter=None if holder.is_free else partial(admissions.enter, holder),
            keep_alive_s=keep_alive_s,
        )

    @app.post_direct("/v1/chat/completions", **takes_body(ChatBody))
    async def chat_completions(http: HttpRequest) -> Response:
        """Answer a chat, as a stream of events or as one body."""
        return await answer(ChatBody, http)

    @app.post_direct("/v1/completions", **takes_body(CompletionBody))
    async def completions(http: HttpRequest) -> Response:
        """Continue a prompt, as a stream of events or as one body."""
        return await answer(CompletionBody, http)

    @app.post_direct("/v1/route", **takes_body(ChatBody))
    async def route(http: HttpRequest) -> Response:
        """Decide which experts would answer, and say why, without asking them."""
        request = (await read(ChatBody.read, http, service)).request(caller_of(http))
        decision = decision_json(request.model, await service.route(request))
        return Response(orjson.dumps(decision), media_type="application/json")


async def read(of: Callable[[bytes], T], http: HttpRequest, service: Motet) -> T:
    """Return what `of` reads in a body; a big one beside the loop, so that others go on."""
    content = await read_body(http, service.config.service)
    return await asyncio.to_thread(of, content) if len(content) > _BIG else of(content)


def traced(requests: list[Request], http: HttpRequest, service: Motet) -> list[Request]:
    """Return requests that know the span a client asks from, where traces are kept."""
    if service.tracing is None or (trace := _trace(http)) is None:
        return requests
    return [replace(request, trace=trace) for request in requests]


def _trace(http: HttpRequest) -> SpanContext | None:
    """Return the span that a client asks from, if it says so."""
    said = http.headers.get("traceparent")
    return None if said is None else SpanContext.read(said, http.headers.get("tracestate", ""))


def takes_body(body: type[BaseModel]) -> dict[str, Any]:
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
