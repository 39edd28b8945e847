"""Answers of a fusion: a batch of one primary's rows, each beside its own peers.

A pass belongs to one model, so rows are batched by primary; within a batch every row may have
other peers. Peers read a prompt once, before the primary does, and never run while it writes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor

from motet.fusion.layers import FusionLayers, peer_weights
from motet.fusion.members import FusionMember
from motet.fusion.memory import LatentMemory, Latents, Pass, remember
from motet.fusion.text import Reading
from motet.generation.rows import ContinuousBatch, GenerationJob

log = logging.getLogger(__name__)


@dataclass(eq=False)
class FusedJob(GenerationJob):
    """A request with the peers that are to read it.

    Attributes
    ----------
    reading
        The prompt as the primary reads it.
    peers
        The prompt as each peer reads it, by the member's index. One that fails is taken out.
    logits_E
        The router's logits for this prompt.
    memory
        What the peers have read, once they have.
    """

    reading: Reading = field(kw_only=True)
    peers: dict[int, Reading] = field(kw_only=True)
    logits_E: Tensor = field(kw_only=True)
    memory: LatentMemory = field(default_factory=LatentMemory)


class FusedBatch(ContinuousBatch):
    """The rows of one primary.

    Parameters
    ----------
    primary
        Its index.
    members
        All members, by index.
    draft
        Most tokens that a peer drafts; 0 in mode A.
    """

    def __init__(
        self, layers: FusionLayers, primary: int, members: Sequence[FusionMember], draft: int
    ) -> None:
        super().__init__(members[primary].model)
        self._layers = layers
        self._primary = primary
        self._members = members
        self._draft = draft
        self._decoding: tuple[tuple[FusedJob, ...], Pass] | None = None

    def read(self, job: GenerationJob) -> Iterator[None]:
        """Let the peers read, one after another, then the primary; pauses in between."""
        assert isinstance(job, FusedJob)
        latents: dict[int, Latents] = {}
        for e, reading in list(job.peers.items()):
            try:
                hidden, drafted = self._members[e].read(reading.tokens, self._draft)
                latents[e] = Latents.of(reading, hidden, len(drafted))
            except Exception:  # the edge of one peer: the answer goes on without it
                log.exception("peer %r failed and is left out", self._members[e].id)
                del job.peers[e]
            yield
        job.memory = recall(self._layers, self._primary, latents, job.logits_E)
        yield from super().read(job)

    def _around(
        self, jobs: Sequence[GenerationJob], positions: Sequence[Sequence[int]]
    ) -> AbstractContextManager[object]:
        fused = [job for job in jobs if isinstance(job, FusedJob)]
        if not any(job.memory.segments for job in fused):
            return nullcontext()
        return self._members[self._primary].visited(self._pass(fused, positions))

    def _pass(self, jobs: Sequence[FusedJob], positions: Sequence[Sequence[int]]) -> Pass:
        """Return the pass over these jobs; while the rows stay the same, so does a decode's."""
        decoding = all(
            where[0] >= len(job.prompt) for job, where in zip(jobs, positions, strict=True)
        )
        if decoding and self._decoding and self._decoding[0] == tuple(jobs):
            return self._decoding[1]
        made = Pass.generating(
            self._layers,
            self._primary,
            [job.memory for job in jobs],
            [_asks(job.reading, where) for job, where in zip(jobs, positions, strict=True)],
        )
        if decoding:
            self._decoding = tuple(jobs), made
            for row, job in enumerate(jobs):
                job.memory = made.memory_of(row, job.memory)
        return made

    def clear(self) -> list[GenerationJob]:
        """Drop every row; return their jobs."""
        self._decoding = None
        return super().clear()


def recall(
    layers: FusionLayers, primary: int, latents: Mapping[int, Latents], logits_E: Tensor
) -> LatentMemory:
    """Return the memory of one request, its peers weighted by the router."""
    return remember(layers, latents, peer_weights(logits_E[None], primary, [list(latents)]))


def _asks(reading: Reading, positions: Sequence[int]) -> Tensor:
    """Return the byte ends of the tokens at `positions`; those generated have read everything."""
    last = len(reading.tokens) - 1
    ends = reading.ends[-1:].expand(sum(p > last for p in positions))
    return torch.cat([reading.asks[[p for p in positions if p <= last]], ends])
