"""`/v1/embeddings`: the vectors of texts, from an encoder or from the one that a router chooses."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from motet.api.answer import AnswerResponse, OpenAnswers
from motet.api.direct import App
from motet.api.guard import holder_of
from motet.api.routes.answers import read, takes_body, traced
from motet.operations.admission import Admissions
from motet.protocol.embeddings import EmbeddingBody
from motet.service.motet import Motet


def add_embeddings(
    app: App, service: Motet, open_answers: OpenAnswers, admissions: Admissions
) -> None:
    """Add the endpoint of encoders."""

    @app.post_direct("/v1/embeddings", **takes_body(EmbeddingBody))
    async def embeddings(http: HttpRequest) -> Response:
        """Turn texts to vectors."""
        body = await read(EmbeddingBody.read, http, service)
        holder = holder_of(http)
        composition = service.pipeline.compositions.get(body.model)
        routed = composition is not None and composition.router is not None
        requests = body.requests(holder.caller, routed=routed)
        return AnswerResponse(
            service,
            body,
            traced(requests, http, service),
            open_answers=open_answers,
            enter=None if holder.is_free else partial(admissions.enter, holder),
        )
