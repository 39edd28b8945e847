"""Continuous batching on one thread: answers join the running batch, and leave it, between steps.

transformers has continuous batching too, but one generator for everybody, no alternatives in its
log-probabilities, and an attention that is made for GPUs; hence this. A new prompt is read alone
and unpadded, so its numbers do not depend on company. Its keys and values then join the batch,
padded on the left, where one forward pass gives each row its next token.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from motet.errors import ExpertError, ExpertOverloaded, ExpertUnavailable
from motet.experts._decoding import Choice
from motet.types import Chunk, Usage

log = logging.getLogger(__name__)

_PREFILL = 512
"""Tokens of a prompt read between two steps of the batch, which waits meanwhile."""


@dataclass(eq=False)
class Job:
    """One request on its way through the worker.

    Attributes
    ----------
    prompt
        Token ids, at least one.
    choices
        The answers to generate; they share one reading of the prompt.
    piecewise
        Whether text is sent as it comes; otherwise each answer is sent whole.
    loop, chunks
        Where chunks, or at last an exception, are put; the queue belongs to the loop.
    """

    prompt: Sequence[int]
    choices: list[Choice]
    piecewise: bool
    loop: asyncio.AbstractEventLoop
    chunks: asyncio.Queue[Chunk | Exception] = field(default_factory=asyncio.Queue)
    cancelled: bool = False
    started: float = 0.0
    _texts: dict[int, str] = field(default_factory=dict)
    _logprobs: dict[int, list[Any]] = field(default_factory=dict)

    def advance(self, choice: Choice, logits: Any) -> None:
        """Give `choice` its next token, drawn from float32 `logits` of shape (vocabulary,)."""
        text, logprobs = choice.advance(logits)
        index = choice.index
        self._texts[index] = self._texts.get(index, "") + text
        if logprobs:
            self._logprobs.setdefault(index, []).extend(logprobs["content"])
        if choice.finish or (self.piecewise and self._texts[index]):
            content = self._logprobs.pop(index, None)
            self.send(
                Chunk(
                    index=index,
                    text=self._texts.pop(index),
                    logprobs={"content": content} if content else None,
                    finish=choice.finish,
                    usage=self._usage() if all(each.finish for each in self.choices) else None,
                )
            )

    def send(self, item: Chunk | Exception) -> None:
        """Hand an item to whoever waits on the event loop."""
        try:
            self.loop.call_soon_threadsafe(self.chunks.put_nowait, item)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self.cancelled = True

    def _usage(self) -> Usage:
        return Usage(len(self.prompt), sum(choice.generated for choice in self.choices))


@dataclass
class _Row:
    """One choice in the batch, with `length` tokens of keys and values."""

    job: Job
    choice: Choice
    length: int


@dataclass
class _Prefill:
    """A prompt of which `done` tokens have been read."""

    job: Job
    cache: Any
    done: int = 0


class Worker(threading.Thread):
    """The thread that owns a model.

    Parameters
    ----------
    expert
        The expert's id, for errors.
    model
        A transformers causal language model in evaluation mode.
    max_batch
        Most answers generated at once.
    max_queue
        Most requests that wait for a place.
    """

    def __init__(self, expert: str, model: Any, max_batch: int, max_queue: int) -> None:
        super().__init__(name=f"motet-{expert}", daemon=True)
        self.fault: str | None = None
        self._expert = expert
        self._model = model
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._wake = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._closing = False
        self._prefill: _Prefill | None = None
        self._rows: list[_Row] = []
        self._cache: Any = None
        self._seconds = 1.0  # that a request takes, a running mean

    def submit(self, job: Job) -> None:
        """Queue a job.

        Raises
        ------
        ExpertOverloaded
            Too many wait already.
        ExpertUnavailable
            The worker has ended.
        """
        with self._wake:
            if self._closing or self.fault or not self.is_alive():
                raise ExpertUnavailable(self._expert, self.fault or "it is closed.")
            if len(self._waiting) >= self._max_queue:
                after = self._seconds * (len(self._waiting) + 1) / self._max_batch
                raise ExpertOverloaded(
                    self._expert,
                    f"{len(self._waiting)} requests are waiting already.",
                    retry_after=float(max(1, math.ceil(after))),
                )
            self._waiting.append(job)
            self._wake.notify()

    def cancel(self, job: Job) -> None:
        """Forget a job; its rows are freed before the next step."""
        with self._wake:
            job.cancelled = True
            if job in self._waiting:
                self._waiting.remove(job)

    def close(self) -> None:
        """End the thread after its current step; open jobs fail. Does not wait, see `join`."""
        with self._wake:
            self._closing = True
            self._wake.notify()

    def run(self) -> None:
        """Work until closed."""
        import torch

        try:
            with torch.inference_mode():
                while self._has_work():
                    self._drop_cancelled()
                    self._read_prompt()
                    self._step()
        except Exception as error:  # the edge of the thread: what nobody foresaw must be told
            log.exception("the worker of expert %r has ended", self._expert)
            self.fault = f"its worker has ended: {error!r}"
        finally:
            with self._wake:
                self._closing = True
                jobs = [*self._waiting, *(row.job for row in self._rows)]
                self._waiting.clear()
            if self._prefill:
                jobs.append(self._prefill.job)
            self._fail(jobs, ExpertUnavailable, self.fault or "it is closing.")
            self._rows, self._prefill, self._cache = [], None, None

    def _has_work(self) -> bool:
        with self._wake:
            while not (self._closing or self._waiting or self._prefill or self._rows):
                self._wake.wait()
            return not self._closing

    def _read_prompt(self) -> None:
        """Read one stretch of the prompt at hand, or of the next that has a place."""
        if self._prefill is None:
            with self._wake:
                free = self._max_batch - len(self._rows)
                if not self._waiting or len(self._waiting[0].choices) > free:
                    return
                job = self._waiting.popleft()
            job.started = time.monotonic()
            self._prefill = _Prefill(job, new_cache(self._model))
        prefill = self._prefill
        try:
            part = prefill.job.prompt[prefill.done : prefill.done + _PREFILL]
            logits = self._forward(
                [part],
                prefill.cache,
                positions=[range(prefill.done, prefill.done + len(part))],
                mask=None,
            )
            prefill.done += len(part)
            if prefill.done == len(prefill.job.prompt):
                self._prefill = None
                self._admit(prefill, logits[0])
        except Exception as error:  # the edge of one request: the model's failure is its failure
            self._prefill = None
            self._rows = [row for row in self._rows if row.job is not prefill.job]
            self._report(error, [prefill.job])

    def _admit(self, prefill: _Prefill, logits: Any) -> None:
        """Draw each choice's first token, and let those that go on join the batch."""
        job = prefill.job
        for choice in job.choices:
            job.advance(choice, logits)
        going = [choice for choice in job.choices if not choice.finish]
        if not going:
            self._note_time(job)
            return
        if len(going) > 1:
            prefill.cache.batch_repeat_interleave(len(going))
        self._cache = merged(self._cache, prefill.cache) if self._rows else prefill.cache
        self._rows += [_Row(job, choice, len(job.prompt)) for choice in going]

    def _step(self) -> None:
        """Give every row of the batch its next token."""
        if not self._rows:
            return
        try:
            logits = self._forward(
                [[row.choice.token] for row in self._rows],
                self._cache,
                positions=[[row.length] for row in self._rows],
                mask=self._mask(),
            )
            for row, values in zip(self._rows, logits, strict=True):
                row.length += 1
                row.job.advance(row.choice, values)
        except Exception as error:  # the edge of the batch: nothing in it can be trusted now
            jobs = [row.job for row in self._rows]
            self._rows, self._cache = [], None
            self._report(error, jobs)
            return
        for row in self._rows:
            if all(choice.finish for choice in row.job.choices):
                self._note_time(row.job)
        self._keep([not row.choice.finish for row in self._rows])

    def _forward(self, tokens: list[Any], cache: Any, *, positions: list[Any], mask: Any) -> Any:
        """Run the model; return float32 logits of the last position, (rows, vocabulary)."""
        import torch

        device = self._model.device
        output = self._model(
            input_ids=torch.tensor(tokens, device=device),
            position_ids=torch.tensor([list(row) for row in positions], device=device),
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1].float()

    def _mask(self) -> Any:
        """Return which columns are tokens, (rows, columns), or None where there is no padding."""
        import torch

        lengths = [row.length + 1 for row in self._rows]
        width = max(lengths)
        if min(lengths) == width:
            return None
        first = torch.tensor([[width - length] for length in lengths], device=self._model.device)
        return (torch.arange(width, device=self._model.device) >= first).long()

    def _keep(self, kept: list[bool]) -> None:
        """Drop the other rows of the batch, and the columns that only they needed."""
        if all(kept):
            return
        self._rows = [row for row, stays in zip(self._rows, kept, strict=True) if stays]
        if not self._rows:
            self._cache = None
            return
        width = max(row.length for row in self._rows)
        select(self._cache, [index for index, stays in enumerate(kept) if stays], width)

    def _drop_cancelled(self) -> None:
        if self._prefill and self._prefill.job.cancelled:
            self._prefill = None
        self._keep([not row.job.cancelled for row in self._rows])

    def _note_time(self, job: Job) -> None:
        self._seconds += 0.2 * (time.monotonic() - job.started - self._seconds)

    def _report(self, error: Exception, jobs: list[Job]) -> None:
        log.error("expert %r failed while generating", self._expert, exc_info=error)
        self._fail(jobs, ExpertError, f"it failed while generating: {error!r}.")

    def _fail(self, jobs: list[Job], kind: type[ExpertError], reason: str) -> None:
        for job in dict.fromkeys(jobs):
            job.cancelled = True
            job.send(kind(self._expert, reason))


def new_cache(model: Any) -> Any:
    """Return an empty cache of keys and values for `model`."""
    from transformers import DynamicCache

    return DynamicCache(config=model.config)


def can_batch(model: Any) -> bool:
    """Whether rows of different length can share a batch: every layer keeps plain attention."""
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    plain = (DynamicLayer, DynamicSlidingWindowLayer)
    return all(type(layer) in plain for layer in new_cache(model).layers)


def merged(cache: Any, other: Any) -> Any:
    """Return `cache` with the rows of `other` below its own; the shorter is padded on the left.

    Layers hold tensors of shape (rows, heads, columns, head size). One with a sliding window holds
    the last columns only, and counts them all.
    """
    import torch
    from torch.nn.functional import pad

    for layer, joining in zip(cache.layers, other.layers, strict=True):
        for name in ("keys", "values"):
            pair = getattr(layer, name), getattr(joining, name)
            width = max(tensor.shape[2] for tensor in pair)
            padded = [pad(tensor, (0, 0, width - tensor.shape[2], 0)) for tensor in pair]
            setattr(layer, name, torch.cat(padded))
        if layer.is_sliding:
            layer.cumulative_length = max(layer.cumulative_length, joining.cumulative_length)
    return cache


def select(cache: Any, rows: list[int], width: int) -> None:
    """Keep only `rows` of `cache`, and of the columns the last `width`."""
    for layer in cache.layers:
        for name in ("keys", "values"):
            tensor = getattr(layer, name)[rows]
            setattr(layer, name, tensor[:, :, max(0, tensor.shape[2] - width) :])
        if layer.is_sliding:
            layer.cumulative_length = width
