"""Server-sent events on the way out."""

from __future__ import annotations

import asyncio
from typing import Self

from starlette.types import Send

_KEEP_ALIVE_S = 2.0
_KEEP_ALIVE = b": keep-alive\n\n"
_DONE = b"data: [DONE]\n\n"


class EventStream:
    """One stream of events, which says something every two seconds even while nothing happens.

    A proxy learns that its client has left only by writing to it; these comments, which clients
    skip, let a silent answer be cancelled, and keep idle time-outs on the way from ending it.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._said = True

    async def open(self, headers: list[tuple[bytes, bytes]]) -> Self:
        """Send the status line and `headers`; from here on failures travel as events."""
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        self._beat = asyncio.create_task(self._keep_alive())
        return self

    async def say(self, event: bytes) -> None:
        """Send one event; an empty one is nothing."""
        if event:
            self._said = True
            await self._send({"type": "http.response.body", "body": event, "more_body": True})

    async def close(self) -> None:
        """Send the end mark, and end the response."""
        self.abandon()
        await self._send({"type": "http.response.body", "body": _DONE, "more_body": False})

    def abandon(self) -> None:
        """Say no more; for a client that is gone."""
        self._beat.cancel()

    async def _keep_alive(self) -> None:
        while True:
            self._said = False
            await asyncio.sleep(_KEEP_ALIVE_S)
            if not self._said:
                await self.say(_KEEP_ALIVE)
