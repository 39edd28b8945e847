"""`/v1/moderations`: texts judged by an ensemble or a classifier, and labels that come later."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from motet.api.direct import App
from motet.api.guard import caller_of
from motet.api.routes.answering import Answering, takes_body
from motet.api.routes.forms import takes
from motet.config import Config
from motet.errors import RequestError
from motet.protocol.moderations import LabelBody, ModerationBody
from motet.service.labels import Labels
from motet.service.motet import Motet
from motet.types import Caller


def add_moderations(app: App, answering: Answering, labels: Labels) -> None:
    """Add the endpoints that judge texts, and that take what was so."""

    @app.post_direct("/v1/moderations", **takes_body(ModerationBody))
    async def moderate(http: HttpRequest) -> Response:
        """Judge texts."""
        body = await answering.read(ModerationBody.read, http)
        caller = caller_of(http)
        request = body.request(_named(body.model, answering.service, caller), caller)
        return answering.answer_to(body, [request], http)

    @app.post(
        "/v1/moderations/labels",
        openapi_extra=takes("application/json", {"$ref": "#/components/schemas/LabelBody"}),
    )
    async def label(http: HttpRequest) -> dict[str, Any]:
        """Say what a judged text is; its ensemble learns of it."""
        body = await answering.read(LabelBody.read, http)
        return await labels.label(body.id, body.index, body.categories)


def _named(model: str | None, service: Motet, caller: Caller) -> str:
    """Return who judges.

    OpenAI's clients name a model of OpenAI's or none: then it is the first ensemble that the caller
    may ask, else the first classifier.
    """
    if model is not None and not _is_openais(model, service):
        return model
    config: Config = service.config
    known = [*config.moderations, *(entry.id for entry in config.classifiers)]
    if not known:
        raise RequestError(
            "This service judges no texts.",
            hint="Its config needs `moderations` or `classifiers`.",
            param="model",
        )
    allowed = (name for name in known if caller.models is None or name in caller.models)
    return next(allowed, known[0])


def _is_openais(model: str, service: Motet) -> bool:
    """Return whether a name is one that OpenAI's clients send by default, and none of ours."""
    is_ours = model in service.pipeline.compositions
    return not is_ours and model.startswith(("omni-moderation-", "text-moderation-"))
