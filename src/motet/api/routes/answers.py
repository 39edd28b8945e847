"""`/v1/chat/completions` and `/v1/completions`, and `/v1/route`, which decides and asks nobody."""

from __future__ import annotations

import orjson
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from motet.api.direct import App
from motet.api.guard import caller_of
from motet.api.routes.answering import Answering, in_session, takes_body
from motet.composer.explanation import decision_json
from motet.protocol.chat import ChatBody
from motet.protocol.completions import CompletionBody


def add_answers(app: App, answering: Answering) -> None:
    """Add the endpoints that answer or decide."""

    @app.post_direct("/v1/chat/completions", **takes_body(ChatBody))
    async def chat_completions(http: HttpRequest) -> Response:
        """Answer a chat, as a stream of events or as one body."""
        return answering.answer(await answering.read(ChatBody.read, http), http)

    @app.post_direct("/v1/completions", **takes_body(CompletionBody))
    async def completions(http: HttpRequest) -> Response:
        """Continue a prompt, as a stream of events or as one body."""
        return answering.answer(await answering.read(CompletionBody.read, http), http)

    @app.post_direct("/v1/route", **takes_body(ChatBody))
    async def route(http: HttpRequest) -> Response:
        """Decide which experts would answer, and say why, without asking them."""
        body = await answering.read(ChatBody.read, http)
        request = in_session(body.request(caller_of(http)), body, http)
        decision = decision_json(request.model, await answering.service.route(request))
        return Response(orjson.dumps(decision), media_type="application/json")
