"""One answer over HTTP: the pipeline's chunks as a stream of events or as one body."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from motet.composer.answer import Answer
from motet.composer.several import SeveralAnswers
from motet.errors import MotetError
from motet.protocol.body import Body
from motet.protocol.frames import Framer
from motet.service.motet import Motet
from motet.types import Chunk, Request
from motet.whole import Whole, collect

_JSON = (b"content-type", b"application/json")
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
KEEP_ALIVE_S = 2.0
"""Seconds of silence after which a stream says that it goes on, when nobody says."""


class AnswerResponse(Response):
    """Runs the pipeline while it responds.

    Nothing is sent before the first chunk has come, so that everything which fails until then is
    answered with its own status. A client that leaves cancels the work, and with it every expert
    call.

    Parameters
    ----------
    requests
        What the body asks; the answers to several are choices of one.
    keep_alive_s
        Seconds of silence after which a stream says that it goes on.
    """

    def __init__(
        self,
        motet: Motet,
        body: Body,
        requests: Sequence[Request],
        *,
        keep_alive_s: float = KEEP_ALIVE_S,
    ) -> None:
        self._motet = motet
        self._requests = requests
        self._framer = body.framer()
        self._explain = body.explain
        self._keep_alive_s = keep_alive_s
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or stop as soon as the client is gone."""
        await _until_gone(self._serve(send), receive)

    async def _serve(self, send: Send) -> None:
        async with self._answer() as answer:
            first = await anext(answer)  # until then a failure has its own status
            if self._requests[0].stream:
                await self._stream(first, answer, send)
            else:
                await self._whole(first, answer, send)

    def _answer(self) -> Answer | SeveralAnswers:
        answers = [self._motet.answer(request) for request in self._requests]
        return answers[0] if len(answers) == 1 else SeveralAnswers(answers)

    async def _whole(self, first: Chunk, answer: Answer | SeveralAnswers, send: Send) -> None:
        whole = Whole()
        whole.add(first)
        await collect(answer, whole)
        content = self._framer.whole(whole, answer.author, answer.usage, self._explanation(answer))
        cost = f"{answer.cost_usd:.8f}".rstrip("0").rstrip(".")
        headers = [
            _JSON,
            (b"content-length", b"%d" % len(content)),
            (b"x-motet-cost-usd", cost.encode()),
            *self._trace_headers(answer),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _stream(self, first: Chunk, answer: Answer | SeveralAnswers, send: Send) -> None:
        headers = [_EVENTS, (b"cache-control", b"no-cache"), *self._trace_headers(answer)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with _Stream(send, self._framer, self._keep_alive_s) as stream:
            await stream.say(self._framer.first(answer.author))
            await stream.say(self._framer.piece(first, answer.author))
            try:
                async for chunk in answer:
                    await stream.say(self._framer.piece(chunk, answer.author))
            except MotetError as error:
                # Words are out already, so the failure travels where the client is reading.
                await stream.end(self._framer.error(error))
                return
            usage = answer.usage
            last = self._framer.last(answer.author, usage, self._explanation(answer))
            await stream.end(last)

    def _explanation(self, answer: Answer | SeveralAnswers) -> Any:
        return answer.explain() if self._explain else None

    def _trace_headers(self, answer: Answer | SeveralAnswers) -> list[tuple[bytes, bytes]]:
        values = {
            "x-motet-composition": answer.composition.name,
            "x-motet-experts": ",".join(answer.answered),
            "x-motet-decision-id": answer.decision.id,
            "x-motet-confidence": f"{answer.decision.confidence:g}",
            "x-motet-request-id": self._requests[0].id,
        }
        return [(name.encode(), value.encode()) for name, value in values.items()]


class _Stream:
    """A body sent piece by piece, which says something now and then while nothing happens.

    A proxy learns that its client has left only by writing to it; these comments, which clients
    skip, let a silent answer be cancelled, and keep idle time-outs on the way from ending it.
    """

    def __init__(self, send: Send, framer: Framer, keep_alive_s: float) -> None:
        self._send = send
        self._keep_alive = framer.keep_alive
        self._seconds = keep_alive_s
        self._said = True

    async def __aenter__(self) -> _Stream:
        self._beat = asyncio.create_task(self._go_on())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._beat.cancel()

    async def say(self, frames: bytes) -> None:
        """Send frames; empty ones are nothing."""
        if frames:
            self._said = True
            await self._send({"type": "http.response.body", "body": frames, "more_body": True})

    async def end(self, frames: bytes) -> None:
        """Send the last frames, and end the response."""
        self._beat.cancel()
        await self._send({"type": "http.response.body", "body": frames, "more_body": False})

    async def _go_on(self) -> None:
        while True:
            self._said = False
            await asyncio.sleep(self._seconds)
            if not self._said:
                await self.say(self._keep_alive)


async def _until_gone(work: Awaitable[None], receive: Receive) -> None:
    """Run `work` to its end, or cancel it when the client disconnects."""
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        # Also on the way out of our own cancellation: no expert call outlives its request.
        for pending in (task, watch):
            pending.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


async def _disconnected(receive: Callable[[], Awaitable[object]]) -> None:
    while True:
        message = await receive()
        if isinstance(message, dict) and message["type"] == "http.disconnect":
            return
