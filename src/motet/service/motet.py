"""Motet in one object: what the HTTP service, the command line and Python programs share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from motet.composer.assembly import Assembly, Build
from motet.composer.pipeline import Answer, Pipeline
from motet.config import Document, load
from motet.errors import MotetError
from motet.experts.fleet import LiveFleet
from motet.residency.expert import swap
from motet.residency.swapper import Swapper
from motet.routers import Router
from motet.types import Decision, Message, Request, Usage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer.

    Attributes
    ----------
    expert
        Who wrote the text.
    explanation
        The decision, every expert call, usage and cost, as plain JSON values.
    """

    text: str
    expert: str
    usage: Usage
    explanation: Mapping[str, Any]

    def __str__(self) -> str:
        return self.text


class Motet:
    """A fleet, its routers and its compositions, ready to answer.

    >>> async with Motet.from_file("experts.yaml") as motet:          # doctest: +SKIP
    ...     print(await motet.chat("auto", "Name the capital of France in one sentence."))
    """

    def __init__(self, document: Document, build: Build | None = None) -> None:
        self.document = document
        self.config = document.config
        assembly = Assembly(document, build)
        self.swapper: Swapper | None = None
        if self.config.residency is not None:
            self.swapper = swap(assembly.experts, self.config.residency)
        self.fleet = LiveFleet(
            assembly.experts.values(), health_interval_s=self.config.service.health_interval_s
        )
        self.pipeline = Pipeline(self.fleet, assembly.plans)
        self._routers = assembly.routers
        self._encoders = assembly.encoders
        self._starting: list[asyncio.Task[None]] = []

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Build from a config file, with every expert in this process.

        Raises
        ------
        ConfigError
            The file is wrong; every problem is listed with its line.
        """
        return cls(load(path))

    async def __aenter__(self) -> Self:
        self.fleet.start()
        # In the background, as experts start: compositions that need no model answer at once.
        self._starting = [
            asyncio.create_task(_start(router), name=f"start {router.name}")
            for router in self._routers.values()
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        self._encoders.close()
        await self.fleet.close()
        if self.swapper is not None:
            await self.swapper.close()

    async def route(self, request: Request) -> Decision:
        """Decide without answering; see `Pipeline.decide`."""
        return await self.pipeline.decide(request)

    async def answer(self, request: Request) -> Answer:
        """Begin an answer that streams; see `Pipeline.answer`."""
        return await self.pipeline.answer(request)

    async def chat(self, model: str, messages: str | Sequence[Message], **options: Any) -> Reply:
        """Answer once, waiting for an expert to be ready.

        Parameters
        ----------
        model
            An expert or a composition.
        messages
            Chat messages in OpenAI's form, or the text of one user message.
        options
            Fields of `Request`, such as `max_tokens` or `temperature`.

        Raises
        ------
        MotetError
            Whatever kept it from answering; see `motet.errors`.
        """
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        await self.fleet.ready(model if model in self.fleet.view else None)
        request = Request(model=model, messages=tuple(messages), **options)
        async with await self.answer(request) as answer:
            text = "".join([chunk.text async for chunk in answer if chunk.index == 0])
            return Reply(text, answer.author, answer.calls.usage, answer.explain())


async def _start(router: Router) -> None:
    try:
        await router.start()
    except MotetError as error:
        log.error("router %s cannot decide: %s", router.name, error)
