"""`/v1/responses`, in OpenAI's format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

import orjson
from fastapi import Query
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from motet.api.direct import App
from motet.api.guard import caller_of
from motet.api.routes.answering import Answering, takes_body
from motet.api.routes.forms import page
from motet.errors import NotFound, RequestError
from motet.protocol.frames import Framer
from motet.protocol.responses.body import ResponsesBody
from motet.protocol.responses.framer import ResponsesFramer
from motet.service.responses import Responses

Limit = Annotated[int, Query(ge=1, le=100)]


def add_responses(app: App, answering: Answering, kept: Responses) -> None:
    """Add the endpoints of responses: to ask for one, and to look at those that are kept."""

    @app.post_direct("/v1/responses", **takes_body(ResponsesBody))
    async def create(http: HttpRequest) -> Response:
        """Answer, as a stream of events or as one response; maybe continuing another."""
        body = await answering.read(ResponsesBody.read, http)
        owner, keeps = caller_of(http).key, answering.service.config.store.responses
        if body.previous_response_id is not None:
            body = body.after(await earlier(body.previous_response_id, owner, keeps))
        if not keeps:
            body = body.model_copy(update={"store": False})

        def ended(framer: Framer) -> None:
            assert isinstance(framer, ResponsesFramer)
            if body.is_kept:
                kept.keep(owner, framer.response, body.items)

        return answering.answer(body, http, ended)

    async def earlier(id: str, owner: str, keeps: bool) -> tuple[Any, ...]:
        """Return the conversation that a body continues."""
        at = "previous_response_id"
        if not keeps:
            raise RequestError(
                f"{at}: this service keeps no responses.",
                hint="Send the whole conversation as input, or set store.responses.",
                param=at,
            )
        most_bytes = int(answering.service.config.service.max_body_bytes)
        try:
            return await kept.conversation(id, owner, most_bytes)
        except RequestError as error:  # there is none, or too much of it
            raise RequestError(f"{at}: {error.message}", hint=error.hint, param=at) from None

    _add_kept(app, kept)


def _add_kept(app: App, kept: Responses) -> None:
    """Add the endpoints of responses that are kept."""

    @app.get("/v1/responses/{id}")
    async def retrieve(http: HttpRequest, id: str) -> Response:
        """Return a response that was kept."""
        row = await kept.find(id, caller_of(http).key)
        return Response(row.response, media_type="application/json")

    @app.delete("/v1/responses/{id}")
    async def delete(http: HttpRequest, id: str) -> dict[str, Any]:
        """Remove a response that was kept."""
        await kept.remove(id, caller_of(http).key)
        return {"id": id, "object": "response", "deleted": True}

    @app.get("/v1/responses/{id}/input_items")
    async def input_items(
        http: HttpRequest,
        id: str,
        limit: Limit = 20,
        order: Literal["asc", "desc"] = "desc",
        after: str | None = None,
    ) -> dict[str, Any]:
        """List what was read for a response."""
        row = await kept.find(id, caller_of(http).key)
        items = list(_identified(orjson.loads(row.input)))
        if order == "desc":
            items.reverse()
        ids = [item["id"] for item in items]
        if after is not None and after not in ids:
            raise NotFound("item", after, ids)
        begin = 0 if after is None else ids.index(after) + 1
        return page(items[begin : begin + limit], begin + limit < len(items))


def _identified(items: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield items with an id each: a client need not give them, and may give one twice."""
    seen: set[str] = set()
    for at, item in enumerate(items):
        id = item.get("id")
        if not isinstance(id, str) or id in seen:
            id = f"item_{at}"
        seen.add(id)
        yield {**item, "id": id}
