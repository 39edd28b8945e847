"""One answer over HTTP: the pipeline's chunks as a stream of events or as one body."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from motet.api.errors import error_json
from motet.api.metrics import Metrics
from motet.api.sse import EventStream
from motet.composer.pipeline import Answer
from motet.errors import MotetError
from motet.protocol.encode import ChatEncoder, Choice
from motet.protocol.schema import Body
from motet.service.motet import Motet
from motet.types import Chunk, Request

_JSON = (b"content-type", b"application/json")
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")


class AnswerResponse(Response):
    """Runs the pipeline while it responds.

    Nothing is sent before the first chunk has come, so that everything which fails until then is
    answered with its own status. A client that leaves cancels the work, and with it every expert
    call.
    """

    def __init__(
        self, motet: Motet, metrics: Metrics, body: Body, request: Request, encoder: ChatEncoder
    ) -> None:
        self._motet = motet
        self._metrics = metrics
        self._request = request
        self._encoder = encoder
        self._explain = body.motet.explain
        self._include_usage = bool(body.stream_options and body.stream_options.include_usage)
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or stop as soon as the client is gone."""
        with self._metrics.in_progress.track_inprogress():
            await _until_gone(self._serve(send), receive)

    async def _serve(self, send: Send) -> None:
        status = "cancelled"
        answer: Answer | None = None
        try:
            answer = await self._motet.answer(self._request)
            async with answer:
                status = await self._respond(answer, send)
        except MotetError as error:
            status = error.code or str(error.status)
            raise
        finally:
            # A name the client made up is no label value: there would be no end to them.
            known = self._request.model in self._motet.pipeline.plans
            name = self._request.model if known else "unknown"
            self._metrics.finished(name, status, None if answer is None else answer.calls)

    async def _respond(self, answer: Answer, send: Send) -> str:
        first = await anext(answer)
        self._metrics.first_chunk_seconds.labels(answer.plan.name).observe(answer.calls.elapsed_s)
        if self._request.stream:
            return await self._stream(first, answer, send)
        return await self._whole(first, answer, send)

    async def _whole(self, first: Chunk, answer: Answer, send: Send) -> str:
        choices: dict[int, Choice] = defaultdict(Choice)
        choices[first.index].add(first)
        async for chunk in answer:
            if not chunk.is_usage_alone:
                choices[chunk.index].add(chunk)
        explanation = answer.explain() if self._explain else None
        content = self._encoder.body(choices, answer.calls.usage, answer.author, explanation)
        cost = f"{answer.calls.cost_usd:.8f}".rstrip("0").rstrip(".")
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    _JSON,
                    (b"content-length", b"%d" % len(content)),
                    (b"x-motet-cost-usd", cost.encode()),
                    *self._trace_headers(answer),
                ],
            }
        )
        await send({"type": "http.response.body", "body": content})
        return "ok"

    async def _stream(self, first: Chunk, answer: Answer, send: Send) -> str:
        headers = [_EVENTS, (b"cache-control", b"no-cache"), *self._trace_headers(answer)]
        events = await EventStream(send).open(headers)
        try:
            status = await self._relay(first, answer, events)
            await events.close()
        finally:
            events.abandon()
        return status

    async def _relay(self, first: Chunk, answer: Answer, events: EventStream) -> str:
        """Send the answer as events, and return how it ended."""
        await events.say(self._encoder.event(first, answer.author))
        try:
            async for chunk in answer:
                await events.say(self._encoder.event(chunk, answer.author))
        except MotetError as error:
            # Words are out already, so the failure travels where the client is reading.
            await events.say(b"data: " + error_json(error) + b"\n\n")
            return error.code or str(error.status)
        usage = answer.calls.usage if self._include_usage else None
        explanation = answer.explain() if self._explain else None
        await events.say(self._encoder.last(answer.author, usage, explanation))
        return "ok"

    def _trace_headers(self, answer: Answer) -> list[tuple[bytes, bytes]]:
        answered = [call for call in answer.calls.trace if call.answered]
        experts = dict.fromkeys(name for call in answered for name in (call.expert, *call.fused))
        values = {
            "x-motet-composition": answer.plan.name,
            "x-motet-experts": ",".join(experts),
            "x-motet-decision-id": answer.decision.id,
            "x-motet-confidence": f"{answer.decision.confidence:g}",
            "x-motet-request-id": self._request.id,
        }
        return [(name.encode(), value.encode()) for name, value in values.items()]


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
