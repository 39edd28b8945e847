"""The HTTP service: a factory that puts routes around one `Motet`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

import motet
from motet.api.answer import KEEP_ALIVE_S, OpenAnswers
from motet.api.direct import App
from motet.api.errors import on_error
from motet.api.routes.admin import add_admin
from motet.api.routes.answering import Answering
from motet.api.routes.answers import add_answers
from motet.api.routes.batches import add_batches
from motet.api.routes.embeddings import add_embeddings
from motet.api.routes.files import add_files
from motet.api.routes.health import add_health
from motet.api.routes.messages import add_messages
from motet.api.routes.models import add_models
from motet.api.routes.moderations import add_moderations
from motet.api.routes.responses import add_responses
from motet.batch.service import BatchService
from motet.errors import MotetError
from motet.operations.admission import Admissions
from motet.operations.metrics import Metrics
from motet.operations.store_metrics import StoreMetrics
from motet.operations.swap_metrics import SwapMetrics
from motet.protocol.batches import BatchBody
from motet.protocol.chat import ChatBody
from motet.protocol.completions import CompletionBody
from motet.protocol.embeddings import EmbeddingBody
from motet.protocol.messages.body import CountBody, MessagesBody
from motet.protocol.moderations import LabelBody, ModerationBody
from motet.protocol.responses.body import ResponsesBody
from motet.service.keeping import Keeper
from motet.service.labels import Labels
from motet.service.ledger import follow_ledger
from motet.service.motet import Motet
from motet.service.register import Register
from motet.service.responses import Responses

_BODIES = (
    ChatBody,
    CompletionBody,
    ResponsesBody,
    MessagesBody,
    CountBody,
    EmbeddingBody,
    ModerationBody,
    LabelBody,
    BatchBody,
)


_ABOUT: dict[str, Any] = {
    "title": "Motet",
    "version": motet.__version__,
    "summary": "Many expert language models behind one endpoint.",
    "exception_handlers": dict.fromkeys(
        (MotetError, HTTPException, RequestValidationError, Exception), on_error
    ),
}

Beside = Callable[[Motet], Coroutine[Any, Any, None]]
"""Work that goes on beside the answers for as long as the service runs."""


def create_app(
    service: Motet,
    *,
    keep_alive_s: float = KEEP_ALIVE_S,
    beside: Sequence[Beside] = (),
    register: Register | None = None,
    admissions: Admissions | None = None,
    admin_hash: str | None = None,
) -> FastAPI:
    """Return the ASGI app that serves `service`, which starts and closes with it.

    Parameters
    ----------
    keep_alive_s
        Seconds of silence after which a stream says that it goes on.
    beside
        Work for the time in between.
    register
        How a new config comes in; by default into this process alone.
    admissions
        What lets requests through under the limits of their keys; in this process when absent.
    admin_hash
        `hash_of` a key that may do everything, if there is one: see `motet.operations.callers`.
    """
    keeper = Keeper(service)
    labels = Labels(service, keeper)
    batches = BatchService(service, keeper.database)
    admissions = admissions or Admissions()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with keeper, service, batches:
            ledger = follow_ledger(service, admissions.budgets, keeper.database)
            async with _beside([ledger, labels.follow(), *(work(service) for work in beside)]):
                yield

    app = App(lambda: service.config, admin_hash, lifespan=lifespan, **_ABOUT)
    open_answers = app.state.open_answers = OpenAnswers()
    metrics = _metrics(service, keeper)
    answering = Answering(service, open_answers, admissions, keep_alive_s)
    add_answers(app, answering)
    add_responses(app, answering, Responses(keeper.writer, keeper.database))
    add_messages(app, answering)
    add_embeddings(app, answering)
    add_moderations(app, answering, labels)
    add_models(app, service)
    add_files(app, batches, service.config.service)
    add_batches(app, batches, service.config.service)
    add_health(app, service, metrics, keeper)
    add_admin(app, register or Register(service))
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _metrics(service: Motet, keeper: Keeper) -> Metrics:
    """Return what counts everything that happens from here on."""
    metrics = Metrics(service.waiting)
    service.observers.add(metrics)
    store = StoreMetrics(metrics.registry)
    keeper.writer.heard, service.memory.heard = store.heard, store.unread
    service.watch_swaps(SwapMetrics(metrics.registry))
    return metrics


@asynccontextmanager
async def _beside(works: Iterable[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Let work go on for as long as the block runs."""
    going = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for each in going:
            each.cancel()


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = FastAPI.openapi(app)
        _, definitions = models_json_schema(
            [(body, "validation") for body in _BODIES],
            ref_template="#/components/schemas/{model}",
        )
        schema.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
        for answers in (
            each["responses"] for at in schema["paths"].values() for each in at.values()
        ):
            if answers.pop("422", None):  # FastAPI's own; a parameter of another form is a 400 here
                answers.setdefault("400", {"description": "The request must be changed."})
        for unused in ("HTTPValidationError", "ValidationError"):
            schema["components"]["schemas"].pop(unused, None)
        app.openapi_schema = schema
    return app.openapi_schema
