"""Jobs, and the rows in which they share one model's passes: a prompt alone, then a token a row.

A new prompt is read alone and unpadded, so its numbers do not depend on company. Its keys and
values then join the batch, padded on the left, where one pass gives each row its next token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from motet.generation.decoding import Candidate
from motet.types import Chunk, Usage


@dataclass(eq=False)
class GenerationJob:
    """One request on its way through the worker.

    Attributes
    ----------
    batch
        The rows it is to join.
    prompt
        Token ids, at least one.
    candidates
        The answers to generate; they share one reading of the prompt.
    piecewise
        Whether text is sent as it comes; otherwise each answer is sent whole.
    loop, chunks
        Where chunks, or at last an exception, are put; the queue belongs to the loop. Without a
        loop, `send` is to be another.
    """

    batch: ContinuousBatch
    prompt: Sequence[int]
    candidates: list[Candidate]
    piecewise: bool
    loop: asyncio.AbstractEventLoop | None
    chunks: asyncio.Queue[Chunk | Exception] = field(default_factory=asyncio.Queue)
    cancelled: bool = False
    started: float = 0.0
    _texts: dict[int, str] = field(default_factory=dict)
    _logprobs: dict[int, list[Any]] = field(default_factory=dict)

    def advance(self, candidate: Candidate, logits: Any) -> None:
        """Give `candidate` its next token, drawn from float32 `logits` of shape (vocabulary,)."""
        text, logprobs = candidate.advance(logits)
        index = candidate.index
        self._texts[index] = self._texts.get(index, "") + text
        if logprobs:
            self._logprobs.setdefault(index, []).extend(logprobs["content"])
        if candidate.finish or (self.piecewise and self._texts[index]):
            content = self._logprobs.pop(index, None)
            self.send(
                Chunk(
                    index=index,
                    text=self._texts.pop(index),
                    logprobs={"content": content} if content else None,
                    finish=candidate.finish,
                    usage=self._usage() if self.finished else None,
                )
            )

    @property
    def finished(self) -> bool:
        """Whether every candidate has ended."""
        return all(candidate.finish for candidate in self.candidates)

    def send(self, item: Chunk | Exception) -> None:
        """Hand an item to whoever waits on the event loop."""
        assert self.loop is not None
        try:
            self.loop.call_soon_threadsafe(self.chunks.put_nowait, item)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self.cancelled = True

    def _usage(self) -> Usage:
        return Usage(len(self.prompt), sum(candidate.generated for candidate in self.candidates))


@dataclass
class BatchRow:
    """One candidate in the batch, with `length` tokens of keys and values."""

    job: GenerationJob
    candidate: Candidate
    length: int


class ContinuousBatch:
    """The rows of one model, and their keys and values.

    Parameters
    ----------
    model
        A transformers causal language model in evaluation mode.
    stretch
        Tokens of a prompt read between two steps of the batch, which waits meanwhile.
    """

    def __init__(self, model: Any, stretch: int = 512) -> None:
        self.rows: list[BatchRow] = []
        self._model = model
        self._stretch = stretch
        self._cache: Any = None

    def read(self, job: GenerationJob) -> Iterator[None]:
        """Read the prompt of a job and let its candidates join; pauses between stretches."""
        cache, done = new_cache(self._model), 0
        while True:
            part = job.prompt[done : done + self._stretch]
            positions = range(done, done + len(part))
            logits = self._forward([job], [part], cache, positions=[positions], mask=None)
            done += len(part)
            if done == len(job.prompt):
                break
            yield
        self._admit(job, cache, logits[0])

    def _admit(self, job: GenerationJob, cache: Any, logits: Any) -> None:
        """Draw each candidate's first token, and let those that go on join the rows."""
        for candidate in job.candidates:
            job.advance(candidate, logits)
        going = [candidate for candidate in job.candidates if not candidate.finish]
        if not going:
            return
        # The prompt was read once; each of its answers goes on from a copy.
        if len(going) > 1:
            cache.batch_repeat_interleave(len(going))
        self._cache = merged(self._cache, cache) if self.rows else cache
        self.rows += [BatchRow(job, candidate, len(job.prompt)) for candidate in going]

    def step(self) -> list[GenerationJob]:
        """Give every row its next token; return the jobs that are done by it."""
        logits = self._forward(
            [row.job for row in self.rows],
            [[row.candidate.token] for row in self.rows],
            self._cache,
            positions=[[row.length] for row in self.rows],
            mask=self._mask(),
        )
        for row, values in zip(self.rows, logits, strict=True):
            row.length += 1
            row.job.advance(row.candidate, values)
        done = [row.job for row in self.rows if row.job.finished]
        self.keep([not row.candidate.finish for row in self.rows])
        return list(dict.fromkeys(done))

    def keep(self, kept: list[bool]) -> None:
        """Drop the other rows, and the columns that only they needed."""
        if all(kept):
            return
        self.rows = [row for row, stays in zip(self.rows, kept, strict=True) if stays]
        if not self.rows:
            self._cache = None
            return
        width = max(row.length for row in self.rows)
        select(self._cache, [index for index, stays in enumerate(kept) if stays], width)

    def clear(self) -> list[GenerationJob]:
        """Drop every row; return their jobs."""
        jobs = [row.job for row in self.rows]
        self.rows, self._cache = [], None
        return jobs

    def _forward(
        self,
        jobs: Sequence[GenerationJob],
        tokens: list[Any],
        cache: Any,
        *,
        positions: list[Any],
        mask: Any,
    ) -> Any:
        """Run the model; return float32 logits of the last position, (rows, vocabulary)."""
        import torch

        device = self._model.device
        with self._around(jobs, positions):
            output = self._model(
                input_ids=torch.tensor(tokens, device=device),
                # Said, not counted: columns of a padded row are not its positions.
                position_ids=torch.tensor([list(row) for row in positions], device=device),
                attention_mask=mask,
                past_key_values=cache,
                use_cache=True,
                # Of a prompt nobody reads the others, each as wide as the vocabulary.
                logits_to_keep=1,
            )
        return output.logits[:, -1].float()

    def _around(
        self, jobs: Sequence[GenerationJob], positions: Sequence[Sequence[int]]
    ) -> AbstractContextManager[object]:
        """Return what a pass over these jobs, a row each, runs in; for kinds that change it."""
        return nullcontext()

    def _mask(self) -> Any:
        """Return which columns are tokens, (rows, columns), or None where there is no padding."""
        import torch

        lengths = [row.length + 1 for row in self.rows]
        width = max(lengths)
        if min(lengths) == width:
            return None
        first = torch.tensor([[width - length] for length in lengths], device=self._model.device)
        return (torch.arange(width, device=self._model.device) >= first).long()


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
            # On the left: every row's newest key is then the last column, where the next one joins.
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
            # A layer with a sliding window may hold fewer columns than the longest row has tokens.
            tensor = getattr(layer, name)[rows]
            setattr(layer, name, tensor[:, :, max(0, tensor.shape[2] - width) :])
        if layer.is_sliding:
            layer.cumulative_length = width
