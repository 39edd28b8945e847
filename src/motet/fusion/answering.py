"""Answers to many questions, of one member or of a fused primary, with what each of them costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from motet.fusion import compute
from motet.fusion.card import FusionCard
from motet.fusion.generate import FusedBatch, FusedJob
from motet.fusion.layers import FusionLayers
from motet.fusion.members import FusionMember
from motet.fusion.text import Reading
from motet.generation.decoding import Candidate, Sampling, Vocabulary, candidates
from motet.generation.rows import ContinuousBatch
from motet.types import Chunk, Request

_SIDE_BY_SIDE = 8

Done = Callable[[int], None]
"""Is told how many questions are answered."""


@dataclass(frozen=True)
class Generated:
    """One answer, and the floating-point operations it took.

    Attributes
    ----------
    reading
        Of the prompt, by whoever read it: spent once, however many answers are drawn behind it.
    writing
        Of the answer's own tokens.
    """

    text: str
    reading: float
    writing: float

    @property
    def flops(self) -> float:
        """Operations of this answer alone."""
        return self.reading + self.writing


class _CollectingJob(FusedJob):
    """A job that keeps its answers instead of sending them."""

    texts: dict[int, str]

    def send(self, item: Chunk | Exception) -> None:
        if isinstance(item, Exception):
            raise item
        self.texts[item.index] = self.texts.get(item.index, "") + item.text


@torch.inference_mode()
def alone(
    member: FusionMember,
    requests: Sequence[Request],
    sampling: Sampling,
    done: Done,
    *,
    copies: int = 1,
) -> list[list[Generated]]:
    """Return what a member answers by itself: for each question as many answers as `copies`."""
    batch, vocabulary = ContinuousBatch(member.model), Vocabulary(member.tokenizer)
    size = compute.size_of(member)

    def job(number: int) -> _CollectingJob:
        reading = member.encode(requests[number], room=sampling.max_tokens)
        answers = candidates(vocabulary, member.ends, sampling, reading.tokens, copies)
        return _job(batch, reading, answers, {}, torch.zeros(0))

    return [
        [
            Generated(text, size.reading(len(job.prompt)), size.writing(candidate.generated))
            for text, candidate in _answers(job)
        ]
        for job in _run(batch, len(requests), job, done)
    ]


class Fused:
    """One primary beside all its peers.

    Parameters
    ----------
    members
        All of the card's, in its order.
    primary
        Index of who writes.
    """

    def __init__(
        self, card: FusionCard, layers: FusionLayers, members: Sequence[FusionMember], primary: int
    ) -> None:
        self._card = card
        self._layers = layers
        self._members = members
        self._primary = primary
        self.peers = [e for e in range(len(members)) if e != primary][: card.peers]

    @torch.inference_mode()
    def answers(
        self,
        requests: Sequence[Request],
        sources: Sequence[Request],
        sampling: Sampling,
        done: Done,
    ) -> list[Generated]:
        """Return one answer a question; its peers read the request of the same place in `sources`.

        A peer's reading, its draft and its memory are counted as reading.
        """
        member = self._members[self._primary]
        draft = self._card.draft_tokens
        batch = FusedBatch(self._layers, self._primary, self._members, draft)
        vocabulary = Vocabulary(member.tokenizer)
        reader = self._members[self._card.ids.index(self._card.primaries[0])]

        def job(number: int) -> _CollectingJob:
            reading = member.encode(requests[number], room=sampling.max_tokens)
            bag_F = reader.embed(reader.encode(requests[number]).tokens)
            return _job(
                batch,
                reading,
                candidates(vocabulary, member.ends, sampling, reading.tokens, 1),
                self._read(sources[number], reading),
                self._layers.router(bag_F[None])[0],
            )

        return [self._answer(job) for job in _run(batch, len(requests), job, done)]

    def _read(self, source: Request, reading: Reading) -> dict[int, Reading]:
        """Return what the peers read; of another question, no further than this one goes."""
        readings = {}
        for e in self.peers:
            other = self._members[e].encode(source, room=self._card.draft_tokens)
            readings[e] = replace(other, ends=other.ends.clamp(max=reading.size))
        return readings

    def _answer(self, job: _CollectingJob) -> Generated:
        ((text, candidate),) = _answers(job)
        read = len(job.prompt)
        size = compute.size_of(self._members[self._primary])
        memory = {
            segment.expert: len(segment.ends)
            for segment in job.memory.segments
            if segment.expert != self._layers.nobody
        }
        reading = size.reading(read) + compute.interaction(
            self._layers, self._primary, read, memory
        )
        for e, tokens in memory.items():
            peer, drafted = compute.size_of(self._members[e]), tokens - len(job.peers[e].tokens)
            reading += peer.reading(tokens) + 2.0 * peer.head * drafted
        # Memory is projected once: what is written pays for its own asking alone.
        written = candidate.generated - 1
        asking = compute.interaction(self._layers, self._primary, read + written, memory)
        asking -= compute.interaction(self._layers, self._primary, read, memory)
        return Generated(text, reading, size.writing(candidate.generated) + asking)


def _job(
    batch: ContinuousBatch,
    reading: Reading,
    answers: list[Candidate],
    peers: dict[int, Reading],
    logits_E: torch.Tensor,
) -> _CollectingJob:
    job = _CollectingJob(
        batch,
        list(reading.tokens),
        answers,
        False,
        None,
        reading=reading,
        peers=peers,
        logits_E=logits_E,
    )
    job.texts = {}
    return job


def _answers(job: _CollectingJob) -> list[tuple[str, Candidate]]:
    return [(job.texts.get(candidate.index, ""), candidate) for candidate in job.candidates]


def _run(
    batch: ContinuousBatch, count: int, make: Callable[[int], _CollectingJob], done: Done
) -> Iterator[_CollectingJob]:
    """Yield jobs by their numbers when they have their answers, some side by side."""
    for start in range(0, count, _SIDE_BY_SIDE):
        jobs = [make(number) for number in range(start, min(start + _SIDE_BY_SIDE, count))]
        for job in jobs:
            for _ in batch.read(job):
                pass
        while batch.rows:
            batch.step()
        yield from jobs
        done(start + len(jobs))
