"""One expert answers; a stronger one reads the answers that end a task before the client does.

It passes an answer, or sends it back with what to do, a few words where it would have written all
of them. Answers that call tools end nothing and go out as they come; the author alone calls tools.
Method: critic models (McAleese et al. 2024, "LLM Critics Help Catch LLM Bugs") as a gate.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from motet.composer.calls import Calls
from motet.composer.relay import relay
from motet.composer.strategies.base import Strategy
from motet.composer.strategies.single import RelayConfig
from motet.composer.transcript import asked_of, transcript
from motet.conditions.condition import Condition
from motet.config import Setting
from motet.errors import ExpertError, MotetError, UnsupportedRequest
from motet.types import Chunk, Decision, Message, Request
from motet.whole import joined, without_thoughts

_VERDICT = re.compile(r"^\W*(pass|revise)\b\W*(.*)", re.IGNORECASE | re.DOTALL)
_REVIEW_TOKENS = 1024
_QUESTION = """\
{said}

---
Read the assistant's last answer above as a strict reviewer: is it right, complete, and what the \
user asked for? Reply with PASS where it is good as it stands. Else reply with REVISE: and, in a \
few sentences, what must be done. Do not write the answer yourself."""
_SENT_BACK = """\
A reviewer has read this answer before the user, and asks for the following:

{advice}

Write the whole answer anew, as the user is to read it. Do not mention the review."""


class ReviewConfig(RelayConfig):
    """Options of `kind: review`; `attempts` and `first_chunk_s` are those of `single`."""

    reviewer: str
    """The expert that reads what the router's choice has written."""
    when: str = "true"
    """Which requests' answers are read: a CEL expression as in rules."""
    rounds: Annotated[int, Field(ge=1, le=4)] = 1
    """How often an answer may be sent back; what comes back last goes out unread."""
    fails: Literal["open", "closed"] = "open"
    """Where the reviewer fails or says neither, or the author fails when sent back: the answer goes
    out as it is (`open`), or the request fails (`closed`)."""


class ReviewStrategy(Strategy):
    """Relays answers that call tools, and has the others read before they go out."""

    Config = ReviewConfig
    options: ReviewConfig

    def __init__(self, options: ReviewConfig, setting: Setting) -> None:
        super().__init__(options, setting)
        setting.check(options.reviewer, "reviewer")
        self._gate = Condition.at(options.when, "when")

    @property
    def remembers(self) -> bool:
        """Whether its gate reads what was before."""
        return self._gate.remembers

    def stages(self, decision: Decision) -> tuple[tuple[str, ...], ...]:
        """Return the author, then the reviewer."""
        return ((decision.primary,), (self.options.reviewer,))

    async def run(
        self, request: Request, decision: Decision, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Relay an answer as it comes, unless it is to be read: then the one that passes.

        Raises
        ------
        UnsupportedRequest
            A review is of one answer to a chat.
        MotetError
            Nobody answered; or what is to close the door has failed.
        """
        authors: Sequence[str] = decision.experts[: self.options.attempts]
        if not self._gate.holds(request):
            async for chunk in self._relay(authors, request, calls):
                yield chunk
            return
        if request.n > 1 or request.prompt is not None:
            raise UnsupportedRequest("A review is of one answer to a chat: ask without n.")
        held: list[Chunk] = []
        async for chunk in self._unless_read(authors, request, calls, held):
            yield chunk
        for left in reversed(range(self.options.rounds if held else 0)):
            advice = await self._advice(request, held, calls)
            if advice is None:
                break
            again, author, said = _sent_back(request, held, advice), calls.led, False
            revised: list[Chunk] = []
            source = self._unless_read if left else self._last
            try:
                async for chunk in source([author or authors[0]], again, calls, revised):
                    said = True
                    yield chunk
            except MotetError:
                if said or self.options.fails == "closed":
                    raise
                break  # the answer before it is better than none
            held = revised
        for chunk in held:
            yield chunk

    def _relay(
        self, authors: Sequence[str], request: Request, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        turns = [(author, request) for author in authors]
        return relay(turns, calls, first_chunk_s=self.options.first_chunk_s)

    async def _last(
        self, authors: Sequence[str], request: Request, calls: Calls, held: list[Chunk]
    ) -> AsyncGenerator[Chunk, None]:
        """Yield an answer that nobody will read before the client; nothing of it is held."""
        async for chunk in self._relay(authors, request, calls):
            yield chunk

    async def _unless_read(
        self, authors: Sequence[str], request: Request, calls: Calls, held: list[Chunk]
    ) -> AsyncGenerator[Chunk, None]:
        """Yield an answer from its first tool call on, with what came before; else hold it all."""
        calls_tools = False
        async with aclosing(self._relay(authors, request, calls)) as answer:
            async for chunk in answer:
                held.append(chunk)
                calls_tools = calls_tools or _calls_tool(chunk)
                while calls_tools and held:
                    yield held.pop(0)

    async def _advice(self, request: Request, held: Sequence[Chunk], calls: Calls) -> str | None:
        """Return what the reviewer wants done; None where an answer may go out."""
        reviewer = self.options.reviewer
        said = transcript([*request.messages, _message(held)])
        asked = asked_of(reviewer, _QUESTION.format(said=said), request, _REVIEW_TOKENS)
        try:
            verdict = _VERDICT.match(await calls.ask(reviewer, asked))
            if verdict is None:
                raise ExpertError(reviewer, "read an answer and said neither PASS nor REVISE.")
        except MotetError:
            if self.options.fails == "closed":
                raise
            return None
        return None if verdict[1].lower() == "pass" else verdict[2].strip() or "Improve it."


def _calls_tool(chunk: Chunk) -> bool:
    return bool(chunk.tool_calls) or "function_call" in chunk.message_extra


def _message(held: Sequence[Chunk]) -> Message:
    return {"role": "assistant", "content": without_thoughts(joined(held).text)}


def _sent_back(request: Request, held: Sequence[Chunk], advice: str) -> Request:
    """Return what the author is asked once more."""
    back = {"role": "user", "content": _SENT_BACK.format(advice=advice)}
    return replace(request, messages=(*request.messages, _message(held), back))
