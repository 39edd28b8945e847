"""`/v1/embeddings`: the vectors of texts, from an encoder or from the one that a router chooses."""

from __future__ import annotations

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from motet.api.direct import App
from motet.api.guard import caller_of
from motet.api.routes.answering import Answering, takes_body
from motet.protocol.embeddings import EmbeddingBody


def add_embeddings(app: App, answering: Answering) -> None:
    """Add the endpoint of encoders."""

    @app.post_direct("/v1/embeddings", **takes_body(EmbeddingBody))
    async def embeddings(http: HttpRequest) -> Response:
        """Turn texts to vectors."""
        body = await answering.read(EmbeddingBody.read, http)
        composition = answering.service.pipeline.compositions.get(body.model)
        routed = composition is not None and composition.router is not None
        return answering.answer_to(body, body.requests(caller_of(http), routed=routed), http)
