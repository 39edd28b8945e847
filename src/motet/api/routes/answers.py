"""`/v1/chat/completions` and `/v1/completions`, and `/v1/route`, which decides and asks nobody."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from motet.api.answer import AnswerResponse, OpenAnswers
from motet.api.direct import App
from motet.api.guard import caller_of, holder_of, read_body
from motet.composer.explanation import decision_json
from motet.conversation.identity import checked_name
from motet.operations.admission import Admissions
from motet.protocol.body import Body
from motet.protocol.chat import ChatBody
from motet.protocol.completions import CompletionBody
from motet.service.motet import Motet
from motet.types import Request, SpanContext

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
        body = await _read(kind, http, service)
        holder = holder_of(http)
        requests = [_in_session(each, http) for each in body.requests(holder.caller)]
        if service.tracing is not None and (trace := _trace(http)) is not None:
            requests = [replace(request, trace=trace) for request in requests]
        return AnswerResponse(
            service,
            body,
            requests,
            open_answers=open_answers,
            enter=None if holder.is_free else partial(admissions.enter, holder),
            keep_alive_s=keep_alive_s,
        )

    @app.post_direct("/v1/chat/completions", **_takes(ChatBody))
    async def chat_completions(http: HttpRequest) -> Response:
        """Answer a chat, as a stream of events or as one body."""
        return await answer(ChatBody, http)

    @app.post_direct("/v1/completions", **_takes(CompletionBody))
    async def completions(http: HttpRequest) -> Response:
        """Continue a prompt, as a stream of events or as one body."""
        return await answer(CompletionBody, http)

    @app.post_direct("/v1/route", **_takes(ChatBody))
    async def route(http: HttpRequest) -> Response:
        """Decide which experts would answer, and say why, without asking them."""
        body = await _read(ChatBody, http, service)
        request = _in_session(body.request(caller_of(http)), http)
        decision = decision_json(request.model, await service.route(request))
        return Response(orjson.dumps(decision), media_type="application/json")


async def _read(kind: type[Body], http: HttpRequest, service: Motet) -> Body:
    """Return what a client sent; a big body is read beside the loop, so that others go on."""
    content = await read_body(http, service.config.service)
    return (
        await asyncio.to_thread(kind.read, content) if len(content) > _BIG else kind.read(content)
    )


def _in_session(request: Request, http: HttpRequest) -> Request:
    """Return a request with the conversation that its headers name, if they do."""
    headers = http.headers
    session = headers.get("x-motet-session")
    if session is not None:
        request = replace(request, session=checked_name(session, "x-motet-session"))
    subagent = headers.get("x-motet-subagent") or headers.get("x-openai-subagent")
    if subagent:
        request = replace(request, subagent=checked_name(subagent, "x-motet-subagent"))
    return request


def _trace(http: HttpRequest) -> SpanContext | None:
    """Return the span that a client asks from, if it says so."""
    said = http.headers.get("traceparent")
    return None if said is None else SpanContext.read(said, http.headers.get("tracestate", ""))


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
