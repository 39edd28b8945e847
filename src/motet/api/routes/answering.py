"""What the endpoints that answer share: reading a body, and answering it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from motet.api.answer import AnswerResponse, OpenAnswers
from motet.api.guard import caller_of, holder_of, read_body
from motet.conversation.identity import checked_name
from motet.operations.admission import Admissions
from motet.protocol.body import Body
from motet.protocol.frames import Framer
from motet.protocol.texts import TextsBody
from motet.service.motet import Motet
from motet.types import Request, SpanContext

T = TypeVar("T")

_BIG = 2**17


class Answering:
    """Reads what comes in, and answers it.

    Parameters
    ----------
    open_answers
        Where answers under way are noted.
    admissions
        What lets requests through under the limits of their keys.
    keep_alive_s
        Seconds of silence after which a stream says that it goes on.
    """

    def __init__(
        self,
        service: Motet,
        open_answers: OpenAnswers,
        admissions: Admissions,
        keep_alive_s: float,
    ) -> None:
        self.service = service
        self._open_answers = open_answers
        self._admissions = admissions
        self._keep_alive_s = keep_alive_s

    async def read(self, of: Callable[[bytes], T], http: HttpRequest) -> T:
        """Return what `of` reads in a body; a big one beside the loop, so that others go on."""
        content = await read_body(http, self.service.config.service)
        return await asyncio.to_thread(of, content) if len(content) > _BIG else of(content)

    def answer(
        self, body: Body, http: HttpRequest, ended: Callable[[Framer], None] | None = None
    ) -> Response:
        """Return the answer to a body; see `AnswerResponse`."""
        requests = [in_session(each, body, http) for each in body.requests(caller_of(http))]
        return self.answer_to(body, requests, http, ended)

    def answer_to(
        self,
        body: Body | TextsBody,
        requests: list[Request],
        http: HttpRequest,
        ended: Callable[[Framer], None] | None = None,
    ) -> Response:
        """Return the answer to what a body asks, framed for it."""
        holder = holder_of(http)
        if self.service.tracing is not None and (trace := _trace(http)) is not None:
            requests = [replace(request, trace=trace) for request in requests]
        return AnswerResponse(
            self.service,
            body,
            requests,
            open_answers=self._open_answers,
            enter=None if holder.is_free else partial(self._admissions.enter, holder),
            keep_alive_s=self._keep_alive_s,
            **({} if ended is None else {"ended": ended}),
        )


def in_session(request: Request, body: Body, http: HttpRequest) -> Request:
    """Return a request with the conversation that its client names, if it does.

    Raises
    ------
    RequestError
        A header is too long, or holds what cannot be printed.
    """
    session, headers = http.headers.get("x-motet-session"), http.headers
    if session is not None:
        request = replace(request, session=checked_name(session, "x-motet-session"))
    elif not request.session and body.session:
        request = replace(request, session=body.session)
    subagent = headers.get("x-motet-subagent") or headers.get("x-openai-subagent")
    if subagent:
        request = replace(request, subagent=checked_name(subagent, "x-motet-subagent"))
    return request


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
