"""Answers to several requests as the choices of one, for clients that send a list of prompts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import accumulate
from typing import Any, Self, TypeVar

from motet.composer.answer import Answer
from motet.composer.parts import Composition
from motet.types import Chunk, Decision, Usage

_AHEAD = 16

T = TypeVar("T")


class SeveralAnswers:
    """Answers that run at once, read as one; each is decided, counted and limited on its own.

    The choices of the first request come first. One that fails ends them all, as one answer that
    fails would. Otherwise as `Answer`, and what a whole names once is the first answer's.
    """

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = answers
        counts = [answer.request.n for answer in answers]
        self._offsets = [0, *accumulate(counts)]
        self._entered = AsyncExitStack()
        self._chunks: asyncio.Queue[Chunk | BaseException | None] = asyncio.Queue(_AHEAD)
        self._reading: list[asyncio.Task[None]] = []
        self._open = len(answers)

    async def __aenter__(self) -> Self:
        """Decide each; see `Answer.__aenter__`."""
        try:
            for answer in self._answers:
                await self._entered.enter_async_context(answer)
        except BaseException:
            await self._entered.aclose()
            raise
        self._reading = [
            asyncio.create_task(self._read(answer, offset))
            for answer, offset in zip(self._answers, self._offsets, strict=False)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._reading:
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        await self._entered.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        while self._open:
            item = await self._chunks.get()
            if isinstance(item, BaseException):
                self._open = 0
                raise item
            if item is not None:
                return item
            self._open -= 1
        raise StopAsyncIteration

    async def _read(self, answer: Answer, offset: int) -> None:
        try:
            async for chunk in answer:
                await self._chunks.put(replace(chunk, index=offset + chunk.index))
        except Exception as error:
            await self._chunks.put(error)
        else:
            await self._chunks.put(None)

    async def within(self, work: Awaitable[T]) -> T:
        """Return what `work` returns, within the deadline of the first request."""
        return await self._answers[0].within(work)

    @property
    def composition(self) -> Composition:
        """What all requests asked for."""
        return self._answers[0].composition

    @property
    def decision(self) -> Decision:
        """The decision on the first request."""
        return self._answers[0].decision

    @property
    def author(self) -> str:
        """The expert who answers the first request."""
        return self._answers[0].author

    @property
    def usage(self) -> Usage:
        """Tokens over all calls of all answers."""
        return sum((answer.usage for answer in self._answers), Usage())

    @property
    def cost_usd(self) -> float:
        """Cost over all calls of all answers, in USD."""
        return sum(answer.cost_usd for answer in self._answers)

    @property
    def answered(self) -> tuple[str, ...]:
        """Who has answered so far, in order."""
        names = (name for answer in self._answers for name in answer.answered)
        return tuple(dict.fromkeys(names))

    def explain(self) -> list[dict[str, Any]]:
        """Return the explanation of each answer; see `Answer.explain`."""
        return [answer.explain() for answer in self._answers]
