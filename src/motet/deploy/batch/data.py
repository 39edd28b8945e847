"""Groups of a batch as Ray Data jobs: rows of requests over an actor pool of their expert.

The calls that wait for an expert when it is loaded become one dataset, mapped by actors that hold
the expert. Ray Data places the actors, feeds them in batches, and repeats what a lost node had.
Experts on vLLM keep their Serve pools, whose engine lives in Ray's LLM server.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterable, Iterator, Mapping
from typing import Any

from motet import codec
from motet.batch.answers import Said
from motet.composer.calls import Asked
from motet.config import Document
from motet.deploy import cluster
from motet.deploy.batch.pools import PoolLoader
from motet.errors import ExpertError
from motet.experts import Expert
from motet.experts.build import build
from motet.residency.engines import Host
from motet.types import Chunk, ExpertCard, Request

_ROWS = 32
"""Requests that an actor answers at once."""
_QUIET_S = 0.2
"""A group is whole when no further call has come for so long."""


class RayDataLoader(PoolLoader):
    """Experts on the cluster at `address`."""

    at_once = 4096  # each dataset loads the expert anew, so it should hold many calls
    answers_soon = False  # a router would wait for a dataset of its own

    def __init__(self, document: Document, experts: Mapping[str, Expert], address: str) -> None:
        super().__init__(document, experts, address)
        self._groups: dict[str, Group] = {}

    def host(self, expert: str) -> Host:
        """Return the expert itself; also one that waits on a network, from many nodes then."""
        if self._built[expert].home == "vllm":
            return super().host(expert)
        return Host(expert)

    async def sizes(self, engines: Iterable[str]) -> dict[str, int | None]:
        """Read the sizes of those that hold a model."""
        engines = list(engines)
        return dict.fromkeys(engines, 0) | await super().sizes(engines)

    async def open(self) -> None:
        """Join Ray, with Serve where a pool will be wanted."""
        pools = any(expert.home == "vllm" for expert in self._built.values())
        await asyncio.to_thread(cluster.start, self._document, self._address, with_serve=pools)
        self._meet()

    async def load(self, engine: str) -> None:
        """Be ready to take calls; the actors start with the first of them."""
        if self._built[engine].home == "vllm":
            await super().load(engine)
            return
        self._groups[engine] = Group(self._document, self._built[engine])

    def expert(self, expert: str) -> Any:
        """Return what takes calls for the expert."""
        return self._groups.get(expert) or super().expert(expert)

    async def unload(self, engine: str) -> None:
        """Delete the pool, if there is one; actors end with their dataset."""
        if self._groups.pop(engine, None) is None:
            await super().unload(engine)


class Group(Asked):
    """Collects the calls of one expert, and answers them as a dataset."""

    def __init__(self, document: Document, expert: Expert) -> None:
        self.card: ExpertCard = expert.card
        self._document = document
        self._replicas = expert.entry.resources.replicas.max
        self._gpus = expert.entry.resources.gpus
        self._waiting: list[tuple[Request, asyncio.Future[Said]]] = []
        self._closing: asyncio.TimerHandle | None = None
        self._jobs: set[asyncio.Task[None]] = set()

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer `request` with its group; see `Expert.stream`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Said] = loop.create_future()
        self._waiting.append((request, future))
        if self._closing is not None:
            self._closing.cancel()
        self._closing = loop.call_later(_QUIET_S, self._begin)
        said = await future
        async for chunk in said.play():
            yield chunk

    def _begin(self) -> None:
        group, self._waiting = self._waiting, []
        job = asyncio.create_task(self._answer(group))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    async def _answer(self, group: list[tuple[Request, asyncio.Future[Said]]]) -> None:
        """Run the dataset in a thread, and hand out its rows as they come."""
        loop = asyncio.get_running_loop()
        futures = [future for _, future in group]

        def settle(number: int, answer: Said) -> None:
            if not futures[number].done():
                futures[number].set_result(answer)

        def work() -> None:
            for number, answer in self._rows([request for request, _ in group]):
                loop.call_soon_threadsafe(settle, number, answer)

        fault = "its dataset has no row for this call."
        try:
            await asyncio.to_thread(work)
        except Exception as error:  # Ray Data raises errors of every kind
            said = str(error).strip().splitlines() or [type(error).__name__]
            fault = f"its Ray Data job failed: {said[-1]}"
        await asyncio.sleep(0)  # rows that the thread has just handed over come first
        for number in range(len(group)):
            settle(number, Said(error=ExpertError(self.card.id, fault)))

    def _rows(self, requests: list[Request]) -> Iterator[tuple[int, Said]]:
        import ray.data

        from motet.deploy.arguments import pool_arguments

        ray.data.DataContext.get_current().enable_progress_bars = False
        rows = [{"number": n, "request": codec.dump(request)} for n, request in enumerate(requests)]
        blocks = max(1, -(-len(rows) // _ROWS))
        answered = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
            Answerer,
            fn_constructor_args=(pool_arguments(self._document, self.card.id),),
            batch_size=_ROWS,
            concurrency=(1, self._replicas),
            num_cpus=1,
            num_gpus=self._gpus or None,
        )
        for row in answered.iter_rows():
            yield int(row["number"]), Said.load(row["answer"])


class Answerer:
    """One actor of a group: the expert, on an event loop of its own."""

    def __init__(self, arguments: Any) -> None:
        from pathlib import Path

        from motet.config import parse
        from motet.weights import Setting, default_cache

        document = parse(arguments["config"], folder=Path(arguments["folder"]))
        (entry,) = document.config.experts
        self._expert = build(entry, Setting(document.folder, default_cache()))
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._on_loop(self._expert.start())

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Answer a batch of rows."""
        answers = self._on_loop(
            self._all([codec.load(Request, content) for content in batch["request"]])
        )
        return {"number": batch["number"], "answer": answers}

    async def _all(self, requests: list[Request]) -> list[bytes]:
        return await asyncio.gather(*(self._one(request) for request in requests))

    async def _one(self, request: Request) -> bytes:
        said = await Said.of(request.model, self._expert.stream(request))
        return said.dump()

    def _on_loop(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
