"""FastAPI, with a door before it, and a direct way to the endpoints whose way counts.

What FastAPI does around an endpoint (middlewares, the search for its route, parameters, exit
stacks) took as long as the rest of an answer's way through Motet.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from motet.api.errors import response_to
from motet.api.guard import Doorkeeper
from motet.config import Config

Endpoint = Callable[[HttpRequest], Awaitable[Response]]


class App(FastAPI):
    """The HTTP service; what comes in goes through the door first.

    Parameters
    ----------
    config
        Returns the config that holds now, which says who may come in.
    admin_hash
        See `Doorkeeper`.
    options
        Those of `FastAPI`.
    """

    def __init__(
        self, config: Callable[[], Config], admin_hash: str | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self._door = Doorkeeper(self._inside, config, admin_hash)
        self._direct: dict[tuple[str, str], Endpoint] = {}

    def post_direct(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Add an endpoint that is posted to, and found without a search.

        FastAPI knows it too: for the schema, and for those who ask with another method.
        """

        def add(endpoint: Endpoint) -> Endpoint:
            self.post(path, response_class=Response, **options)(endpoint)
            self._direct["POST", path] = endpoint
            return endpoint

        return add

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live through the start and the end of the service."""
        if scope["type"] == "http":
            await self._door(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._direct.get((scope["method"], scope["path"]))
        if endpoint is None:
            await super().__call__(scope, receive, send)
            return
        try:
            response = await endpoint(HttpRequest(scope, receive))
        except Exception as error:
            response = response_to(error, scope["path"])
        await response(scope, receive, send)
