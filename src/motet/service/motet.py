"""Motet in one object: what the HTTP service, the command line and Python programs share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from motet.composer.answer import Answer
from motet.composer.assembly import Build, assemble
from motet.composer.parts import Parts
from motet.composer.pipeline import Pipeline
from motet.config import Config, Document, load
from motet.config.difference import Change, difference
from motet.errors import MotetError, NoExpertAvailable, ServiceStopping, first_of
from motet.experts.fleet import LiveFleet
from motet.operations.base import Observer
from motet.operations.observers import Observers
from motet.operations.sessions import ConversationMemory
from motet.operations.watchers import tracing_of, watchers
from motet.residency.expert import swap
from motet.residency.swapper import Swapper, Watcher
from motet.service.patience import PATIENCE_S
from motet.service.proving import prove
from motet.service.running import Running
from motet.types import Decision, Message, Request, Task, Texts, Usage, Verdict
from motet.whole import Whole, collect

log = logging.getLogger(__name__)

_DRAIN_S = 600.0
"""Seconds that answers on parts which were replaced have to end before their experts close."""


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

    Parameters
    ----------
    source
        A checked document, or the parts that were made of one already.
    observers
        Told of every request; see `motet.operations.base.Observer`.
    make
        Returns how experts of a document are made; by default in this process.

    Attributes
    ----------
    tracing
        Which span each request is; None where no traces are kept.
    memory
        Of conversations; in this process alone until a `Keeper` shares it.
    """

    def __init__(
        self,
        source: Document | Parts,
        *,
        observers: Iterable[Observer] = (),
        make: Callable[[Document], Build] | None = None,
    ) -> None:
        document = source if isinstance(source, Document) else source.document
        telemetry = document.config.telemetry
        self.tracing = tracing_of(telemetry)
        self.observers = Observers([*observers, *watchers(telemetry, self.tracing)])
        self.memory = ConversationMemory(document.config.sessions)
        self._make = make
        self._swaps: Watcher | None = None
        self._applying = asyncio.Lock()
        self._proving: asyncio.Task[None] | None = None
        self._at_work: list[Running] = []
        self._running = self._run(source)
        self._ends: dict[asyncio.Task[None], Running] = {}
        self._is_open = False

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Build from a config file, with every expert in this process.

        Raises
        ------
        ConfigError
            The file is wrong; every problem is listed with its line.
        """
        return cls(load(path))

    def _run(self, source: Document | Parts) -> Running:
        parts = source if isinstance(source, Parts) else self._assembled(source)
        parts = _swapped(parts)
        self._have_watched(parts)
        running = Running(parts, self.observers, self._at_work, self.tracing, self.memory)
        self._at_work.append(running)
        return running

    def _assembled(self, document: Document, before: Parts | None = None) -> Parts:
        return assemble(document, None if self._make is None else self._make(document), before)

    @property
    def parts(self) -> Parts:
        """What answers new requests now."""
        return self._running.parts

    @property
    def document(self) -> Document:
        """The config that answers new requests now."""
        return self.parts.document

    @property
    def config(self) -> Config:
        """Its values."""
        return self.document.config

    @property
    def fleet(self) -> LiveFleet:
        """Its experts, with their health."""
        return self._running.fleet

    @property
    def pipeline(self) -> Pipeline:
        """The way of a request through it."""
        return self._running.pipeline

    @property
    def swapper(self) -> Swapper | None:
        """What loads experts on demand; None where all are loaded at start."""
        return self.parts.swapper

    def watch_swaps(self, watcher: Watcher) -> None:
        """Have what loads experts on demand watched, now and in configs to come."""
        self._swaps = watcher
        self._have_watched(self.parts)

    def _have_watched(self, parts: Parts) -> None:
        if parts.swapper is not None and self._swaps is not None:
            parts.swapper.watcher = self._swaps

    def waiting(self, expert: str) -> int:
        """Return how many requests wait for a place at an expert; see `Expert.waiting`."""
        known = self.parts.experts.get(expert)
        return 0 if known is None else known.waiting

    async def __aenter__(self) -> Self:
        self._running.start()
        self._is_open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_open = False
        if self._proving is not None:
            self._proving.cancel()
        async with self._applying:
            pass  # what was about to come in place ends first
        try:
            for task, old in self._ends.items():
                if not old.is_ending:
                    task.cancel()
            await asyncio.gather(*self._ends, return_exceptions=True)
            for old in [each for each in self._at_work if each is not self._running]:
                await self._end(old)
            await self._running.close()
        finally:
            await asyncio.to_thread(self.observers.close)

    def replace(self, source: Document | Parts) -> None:
        """Put new parts in place of the old ones, at once and whole.

        A request that has begun ends on the parts it began with; their experts close when the last
        of these is over. Experts and routers that are the same objects in both go on untouched.

        Raises
        ------
        ConfigError
            The new document is wrong; the old parts go on.
        """
        new = self._run(source)
        if self._is_open:
            new.start()
        self._put(new)

    async def apply(
        self,
        document: Document,
        *,
        patience_s: float = PATIENCE_S,
        dry: bool = False,
        proved: bool = False,
    ) -> list[Change]:
        """Put a new config in place of the running one once it is proved; return what changes.

        Experts that are the same in both go on with all they have loaded. New and changed ones
        start beside the old, and answer a first prompt of their own before a request reaches them.
        A request sees the old config or the new one, whole.

        Parameters
        ----------
        patience_s
            Seconds that what is new has to come up.
        dry
            Whether to check it and say what would change, and no more.
        proved
            Whether somebody else has seen it come up: what is new is waited for, and not tried.

        Raises
        ------
        ConfigError
            The new config is wrong; the old one goes on.
        ApplyFailed
            It is right, and something in it did not come up; the old one goes on.
        """
        was_open = self._is_open
        async with self._applying:
            changes = difference(self.config, document.config)
            # Beside the event loop: artifacts are read from disk.
            parts = await asyncio.to_thread(self._assembled, document, self.parts)
            if was_open and not self._is_open:
                raise ServiceStopping
            if dry:
                return changes
            new = self._run(parts)
            try:
                if self._is_open:
                    new.start()
                    fresh = _new(self.parts, new.parts)
                    work = prove(new, fresh, patience_s, only_wait=proved)
                    self._proving = asyncio.create_task(work, name="a new config is proved")
                    await self._proving
            except BaseException:
                await self._end(new)
                if self._stopped_proving():
                    raise ServiceStopping from None
                raise
            self._put(new)
            return changes

    def _stopped_proving(self) -> bool:
        """Return whether a config was not proved because the service stops."""
        proving, self._proving = self._proving, None
        return proving is not None and proving.cancelled() and not self._is_open

    async def drained(self) -> None:
        """Wait until no answer runs on parts that were replaced."""
        while self._ends:
            await asyncio.wait(self._ends)

    def _put(self, new: Running) -> None:
        """Let new requests run on `new`, and end what ran before once nothing runs on it."""
        # Nothing awaits in here: a request sees the old parts or the new ones.
        old = self._running
        if self._is_open:
            task = asyncio.create_task(self._end_idle(old), name="end of replaced parts")
            self._ends[task] = old
            task.add_done_callback(self._ends.pop)
        else:
            self._at_work.remove(old)
        self._running = new

    async def _end_idle(self, old: Running) -> None:
        """Close parts that were replaced once nothing runs on them."""
        try:
            async with asyncio.timeout(_DRAIN_S):
                await old.pipeline.idle()
        except TimeoutError:
            log.warning("replaced parts close under answers that have run for %g s", _DRAIN_S)
        await self._end(old)

    async def _end(self, old: Running) -> None:
        try:
            await old.close()
        finally:
            self._at_work.remove(old)

    async def route(self, request: Request) -> Decision:
        """Decide without answering; see `Pipeline.decide`."""
        return await self.pipeline.decide(request)

    def answer(self, request: Request) -> Answer:
        """Return an answer that streams, and begins when it is entered; see `Answer`."""
        return self.pipeline.answer(request)

    async def chat(self, model: str, messages: str | Sequence[Message], **options: Any) -> Reply:
        """Answer once, waiting within the composition's deadline for an expert to be ready.

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
        request = Request(model=model, messages=tuple(messages), **options)
        whole, answer = await self._ask(request)
        return Reply(whole.text, answer.author, answer.calls.usage, answer.explain())

    async def embed(
        self, model: str, inputs: Sequence[str], *, dimensions: int | None = None
    ) -> list[Any]:
        """Return the vector of each text, each by the encoder that is chosen for it; see `chat`."""
        composition = self.pipeline.compositions.get(model)
        is_routed = composition is not None and composition.router is not None
        parts = [(text,) for text in inputs] if is_routed else [tuple(inputs)]
        asked = [Texts(task=Task.EMBED, inputs=each, dimensions=dimensions) for each in parts]
        try:
            async with asyncio.TaskGroup() as group:
                asking = [
                    group.create_task(self._ask(Request(model=model, texts=each))) for each in asked
                ]
        except* MotetError as errors:
            raise first_of(errors) from None
        answers = [task.result()[0] for task in asking]
        return [vector for whole in answers for vector in whole.choices[0].values]

    async def moderate(self, model: str, inputs: Sequence[str]) -> list[Verdict]:
        """Return what an ensemble or a classifier says of each text; see `chat`."""
        texts = Texts(task=Task.MODERATE, inputs=tuple(inputs))
        whole, _ = await self._ask(Request(model=model, texts=texts))
        return whole.choices[0].values

    async def _ask(self, request: Request) -> tuple[Whole, Answer]:
        """Return a whole answer; see `chat`."""
        if not self._is_open:
            raise NoExpertAvailable(
                "The service is not started, so no expert is.",
                hint="Ask inside `async with Motet.from_file(...) as motet:`.",
            )
        running = self._running
        ready = partial(_somebody_ready, running, request)
        async with running.pipeline.answer(request, first=ready) as answer:
            return await collect(answer), answer


def _new(old: Parts, new: Parts) -> list[str]:
    """Return the experts of new parts that are no part of the old."""
    return [name for name, expert in new.experts.items() if old.experts.get(name) is not expert]


async def _somebody_ready(running: Running, request: Request) -> None:
    """Wait until an expert can be asked, or none is on its way, or the deadline is over.

    The decision then says who is not ready, and why.
    """
    deadline_s = running.pipeline.find(request).limits.deadline_s
    expert = request.model if request.model in running.fleet.view else None
    try:
        async with asyncio.timeout(deadline_s):
            await running.fleet.settled(expert)
    except TimeoutError:
        pass


def _swapped(parts: Parts) -> Parts:
    """Return the parts with experts that come and go, where the config bounds their memory."""
    settings = parts.document.config.residency
    if settings is None or parts.swapper is not None:
        return parts
    experts = dict(parts.experts)
    swapper = swap(experts, settings)
    return replace(parts, experts=experts, swapper=swapper)
