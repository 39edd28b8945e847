"""`/v1/messages`, in Anthropic's format."""

from __future__ import annotations

import orjson
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from motet.api.direct import App
from motet.api.guard import caller_of
from motet.api.routes.answering import Answering, takes
from motet.protocol.messages.body import CountBody, MessagesBody, tokens_of


def add_messages(app: App, answering: Answering) -> None:
    """Add the endpoints that Anthropic's clients ask."""

    @app.post_direct("/v1/messages", **takes(MessagesBody))
    async def messages(http: HttpRequest) -> Response:
        """Answer a conversation, as a stream of events or as one message."""
        return answering.answer(await answering.read(MessagesBody, http), http)

    @app.post_direct("/v1/messages/count_tokens", **takes(CountBody))
    async def count_tokens(http: HttpRequest) -> Response:
        """Say about how many tokens a prompt has: experts differ, and nobody is asked."""
        request = (await answering.read(CountBody, http)).request(caller_of(http))
        answering.service.pipeline.find(request)
        count = {"input_tokens": tokens_of(request)}
        return Response(orjson.dumps(count), media_type="application/json")
