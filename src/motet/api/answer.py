"""One answer over HTTP: the pipeline's chunks as a stream of events or as one body."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum, auto
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from motet.api.errors import response_to
from motet.clock import Alarm, Timeout
from motet.composer.answer import Answer
from motet.composer.several import SeveralAnswers
from motet.errors import DeadlineExceeded, MotetError, ServiceStopping
from motet.operations.admission import Admission
from motet.protocol.body import Body
from motet.protocol.frames import Framer
from motet.protocol.texts import TextsBody
from motet.service.motet import Motet
from motet.types import Chunk, Request
from motet.whole import Whole, collect

_JSON = (b"content-type", b"application/json")
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
KEEP_ALIVE_S = 2.0
"""Seconds of silence after which a stream says that it goes on, when nobody says."""
ABORT = "motet.abort"
"""Name of the ASGI extension whose `call` ends a connection at once, unsent bytes and all."""
_LAST_WORD_S = 1.0
_UNWATCHED_S = 0.05
"""Seconds until somebody looks whether the client is still there: most that is quick is over by
then, and looking takes a task of its own."""
_IN_A_ROW = 4
"""Pieces after which others have their turn: sending waits for nothing while the client takes it,
so an expert that says much at once would hold up everybody else."""


class _Ending(Enum):
    """Why an answer was stopped before its end."""

    GONE = auto()
    STOPPED = auto()


class OpenAnswers:
    """The answers of one app that are under way, so that they can be told when it stops."""

    def __init__(self) -> None:
        self._open: set[AnswerResponse] = set()

    def add(self, response: AnswerResponse) -> None:
        """Note that an answer has begun."""
        self._open.add(response)

    def remove(self, response: AnswerResponse) -> None:
        """Note that it has ended."""
        self._open.discard(response)

    def stop(self) -> None:
        """End every answer, in words that its client reads."""
        for response in tuple(self._open):
            response.stop()


def _nobody(framer: Framer) -> None:
    """Tell nobody."""


class AnswerResponse(Response):
    """Runs the pipeline while it responds.

    Nothing is sent before the first chunk has come, so that everything which fails until then is
    answered with its own status. A client that leaves cancels the work, and with it every expert
    call.

    Parameters
    ----------
    requests
        What the body asks; the answers to several are choices of one.
    open_answers
        Where it is noted while it is under way.
    enter
        Lets so many tokens and USD through under the limits of a key, or raises why not; absent
        where it has none.
    keep_alive_s
        Seconds of silence after which a stream says that it goes on.
    ended
        Told that an answer is whole, with what framed it, before its client can know.
    """

    def __init__(
        self,
        motet: Motet,
        body: Body | TextsBody,
        requests: Sequence[Request],
        *,
        open_answers: OpenAnswers,
        enter: Callable[[int, float], Awaitable[Admission]] | None = None,
        keep_alive_s: float = KEEP_ALIVE_S,
        ended: Callable[[Framer], None] = _nobody,
    ) -> None:
        self._motet = motet
        self._requests = requests
        self._framer = body.framer()
        self._ended = ended
        self._explain = body.explain
        self._keep_alive_s = keep_alive_s
        self._open = open_answers
        self._enter = enter
        self._begun = False
        self._left: Mapping[str, str] = {}
        self._task: asyncio.Task[Any] | None = None
        self._ending: _Ending | None = None
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or stop as soon as the client is gone, does not read, or the service stops."""
        self._task = task = asyncio.current_task()
        assert task is not None, "a request runs in a task"
        watch = _Lookout(receive, lambda: self._end(_Ending.GONE))
        self._open.add(self)
        failure: Exception | None = None
        try:
            await self._serve(send)
        except asyncio.CancelledError:
            if self._ending is None:
                raise
            failure = ServiceStopping()
        except Exception as error:
            if self._begun and not isinstance(error, MotetError):
                raise  # half an answer is out: all that is left is to end the connection
            failure = error
        finally:
            self._task = None
            self._open.remove(self)
            watch.close()
            if self._ending is not None:
                task.uncancel()
        if failure is not None and self._ending is not _Ending.GONE:
            await _in_time(self._tell(failure, scope, receive, send), scope)

    def stop(self) -> None:
        """End the answer, and tell its client that the service stops."""
        self._end(_Ending.STOPPED)

    def _end(self, why: _Ending) -> None:
        if self._task is not None and self._ending is None:
            self._ending = why
            self._task.cancel()

    async def _tell(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        """Say why the answer ends here, where its client is reading."""
        if self._begun and isinstance(error, MotetError):
            last = {"type": "http.response.body", "body": self._framer.error(error)}
            await send(last)
        else:
            await response_to(error, scope["path"])(scope, receive, send)

    async def _serve(self, send: Send) -> None:
        if self._enter is None:
            await self._answered(send)
            return
        tokens = sum(_tokens(request) for request in self._requests)
        admission = await self._enter(tokens, self._cap_usd())
        self._left = admission.headers
        try:
            await self._answered(send, admission)
        finally:
            admission.close()

    def _cap_usd(self) -> float:
        """Return what the requests may cost at most; 0 where that has no bound."""
        caps = [self._motet.pipeline.find(each).limits.cost_usd for each in self._requests]
        return sum(cap or 0.0 for cap in caps)

    async def _answered(self, send: Send, admission: Admission | None = None) -> None:
        answer = self._answer()
        try:
            async with answer:
                first = await anext(answer)  # until then a failure has its own status
                if self._requests[0].stream:
                    await self._stream(first, answer, send)
                else:
                    await self._whole(first, answer, send)
        finally:
            if admission is not None:  # also where a screen or a router took all of it
                admission.cost_usd = answer.cost_usd
                # Where it broke off, an expert has not said yet what it took.
                admission.tokens = answer.usage.total_tokens or admission.tokens

    def _answer(self) -> Answer | SeveralAnswers:
        answers = [self._motet.answer(request) for request in self._requests]
        return answers[0] if len(answers) == 1 else SeveralAnswers(answers)

    async def _whole(self, first: Chunk, answer: Answer | SeveralAnswers, send: Send) -> None:
        whole = Whole()
        whole.add(first)
        await collect(answer, whole)
        content = self._framer.whole(whole, answer.author, answer.usage, self._explanation(answer))
        self._ended(self._framer)
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
        self._begun = True
        async with _Stream(send, self._framer, self._keep_alive_s) as stream:
            # Sending is within the deadline too: a client that does not read holds an expert.
            await answer.within(stream.say(self._framer.first(answer.author)))
            await answer.within(stream.say(self._framer.piece(first, answer.author)))
            try:
                async for chunk in answer:
                    await answer.within(stream.say(self._framer.piece(chunk, answer.author)))
            except DeadlineExceeded:
                raise
            except MotetError as error:
                # Words are out already, so the failure travels where the client is reading.
                await stream.end(self._framer.error(error))
                return
            usage = answer.usage
            last = self._framer.last(answer.author, usage, self._explanation(answer))
            self._ended(self._framer)
            await answer.within(stream.end(last))

    def _explanation(self, answer: Answer | SeveralAnswers) -> Any:
        return answer.explain() if self._explain else None

    def _trace_headers(self, answer: Answer | SeveralAnswers) -> list[tuple[bytes, bytes]]:
        values = {
            "x-motet-composition": answer.composition.name,
            "x-motet-experts": ",".join(answer.answered),
            "x-motet-decision-id": answer.decision.id,
            "x-motet-confidence": f"{answer.decision.confidence:g}",
            "x-motet-request-id": self._requests[0].id,
            **self._left,
            **self._framer.headers,
        }
        return [(name.encode(), value.encode()) for name, value in values.items()]


def _tokens(request: Request) -> int:
    """Return the tokens that a request is taken to need; what it took is counted at its end."""
    return request.estimated_tokens + (request.max_tokens or 0) * request.n


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
        self._count = 0
        self._going_on: asyncio.Future[None] | None = None

    async def __aenter__(self) -> _Stream:
        self._alarm = Alarm(self._seconds, self._look)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._quiet()

    async def say(self, frames: bytes) -> None:
        """Send frames; empty ones are nothing."""
        if frames:
            self._said = True
            await self._send({"type": "http.response.body", "body": frames, "more_body": True})
            self._count += 1
            if not self._count % _IN_A_ROW:
                await asyncio.sleep(0)

    async def end(self, frames: bytes) -> None:
        """Send the last frames, and end the response."""
        self._quiet()
        await self._send({"type": "http.response.body", "body": frames, "more_body": False})

    def _look(self) -> None:
        """Say that it goes on, if nothing was said since the last look."""
        still = self._going_on is not None and not self._going_on.done()  # the client reads nothing
        if not self._said and not still:
            self._going_on = asyncio.ensure_future(self.say(self._keep_alive))
        self._said = False
        self._alarm = Alarm(self._seconds, self._look)

    def _quiet(self) -> None:
        self._alarm.cancel()
        if self._going_on is not None:
            self._going_on.cancel()


class _Lookout:
    """Looks whether a client is still there, from a moment on."""

    def __init__(self, receive: Receive, gone: Callable[[], None]) -> None:
        self._receive = receive
        self._gone = gone
        self._looking: asyncio.Future[None] | None = None
        self._alarm = Alarm(_UNWATCHED_S, self._begin)

    def close(self) -> None:
        """Look no more."""
        self._alarm.cancel()
        if self._looking is not None:
            self._looking.cancel()

    def _begin(self) -> None:
        self._looking = asyncio.ensure_future(self._look())

    async def _look(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone()


async def _in_time(last_words: Awaitable[None], scope: Scope) -> None:
    """Say the last words, and end the connection where nobody takes them."""
    try:
        async with Timeout(_LAST_WORD_S):
            await last_words
    except TimeoutError:
        if ABORT in (scope.get("extensions") or {}):
            scope["extensions"][ABORT]["call"]()
