"""What a fusion is worth: the fused answers beside every control that could explain them.

- `fused`: the primary with its peers;
- `alone`: the primary by itself;
- `deranged`: the primary with peers that have read another question of the same task;
- `text`: the primary, with the peers' answers in its prompt;
- `lora`: the primary with an adapter of as many parameters, trained on the same questions;
- each peer by itself.

G is fused less alone, and any adapter may gain it. P is fused less deranged, and only what the
peers know can: that is what fusion claims. Both are paired over questions.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from motet.experts._decoding import Choice, Sampling, Vocabulary
from motet.experts._rows import Batch
from motet.experts.transformers import CONTEXT_OF_PROMPT
from motet.fusion.card import FusionCard
from motet.fusion.data import Example
from motet.fusion.generate import FusedBatch, FusedJob
from motet.fusion.layers import FusionLayers
from motet.fusion.members import Member
from motet.fusion.text import Reading
from motet.grading import GRADERS
from motet.types import Chunk, Request
from motet.weights.store import Report

DRAWS = 10_000
_SIDE_BY_SIDE = 8


@dataclass(frozen=True)
class Difference:
    """Points of accuracy between two ways, over the same questions.

    Attributes
    ----------
    low, high
        95% interval of a paired bootstrap.
    p
        How often, of both sides, a resample would say the opposite; never under 1 / draws.
    """

    points: float
    low: float
    high: float
    p: float


class _Answering(FusedJob):
    """A job that keeps its answer instead of sending it."""

    text = ""

    def send(self, item: Chunk | Exception) -> None:
        if isinstance(item, Exception):
            raise item
        self.text += item.text


class Evaluation:
    """Answers the same questions in every way.

    Parameters
    ----------
    primary
        A member that was trained as one; every other member is a peer.
    adapted
        The primary with the control's adapter, where there is one.
    max_tokens
        Most tokens of an answer.
    """

    def __init__(
        self,
        card: FusionCard,
        layers: FusionLayers,
        member: Callable[[str], Member],
        primary: str,
        *,
        adapted: Member | None = None,
        max_tokens: int = 16,
        seed: int = 0,
    ) -> None:
        self._card = card
        self._layers = layers
        self._members = [member(id) for id in card.ids]
        self._layers.to(self._members[0].device)
        self._primary = card.ids.index(primary)
        self._peers = [e for e in range(len(card.ids)) if e != self._primary][: card.peers]
        self._adapted = adapted
        self._max_tokens = max_tokens
        self._seed = seed

    def answers(self, examples: Sequence[Example], report: Report) -> dict[str, list[str]]:
        """Return the answers of every way, question by question."""
        own = self._members[self._primary]
        requests = [example.request for example in examples]
        found = {}

        def ask(
            way: str,
            member: Member,
            asked: Sequence[Request],
            sources: Sequence[Request] | None = None,
        ) -> None:
            found[way] = self._ask(
                member, asked, sources, lambda done: report(way, done, len(asked))
            )

        ask("alone", own, requests)
        for e in self._peers:
            ask(self._card.ids[e], self._members[e], requests)
        ask("fused", own, requests, requests)
        ask("deranged", own, requests, deranged(examples, self._seed))
        drafts = [found[self._card.ids[e]] for e in self._peers]
        hinted = [
            hint(r, said) for r, said in zip(requests, zip(*drafts, strict=True), strict=True)
        ]
        ask("text", own, hinted)
        if self._adapted is not None:
            ask("lora", self._adapted, requests)
        return found

    def added_tokens(
        self, examples: Sequence[Example], found: Mapping[str, Sequence[str]]
    ) -> float:
        """Return how many tokens the peers' answers add to the primary's prompt, on average."""
        own = self._members[self._primary]
        added = [
            len(own.encode(hinted).tokens) - len(own.encode(example.request).tokens)
            for example, hinted in zip(examples, self._hinted(examples, found), strict=True)
        ]
        return sum(added) / len(added)

    def _hinted(
        self, examples: Sequence[Example], found: Mapping[str, Sequence[str]]
    ) -> list[Request]:
        drafts = zip(*(found[self._card.ids[e]] for e in self._peers), strict=True)
        return [hint(example.request, said) for example, said in zip(examples, drafts, strict=True)]

    @torch.inference_mode()
    def _ask(
        self,
        member: Member,
        requests: Sequence[Request],
        sources: Sequence[Request] | None,
        report: Callable[[int], None],
    ) -> list[str]:
        """Return greedy answers of one member; `sources` are what its peers read, if any."""
        batch = Batch(member.model)
        if sources is not None:
            draft = self._card.draft_tokens
            batch = FusedBatch(self._layers, self._primary, self._members, draft)
        vocabulary = Vocabulary(member.tokenizer)
        said: list[str] = []
        for start in range(0, len(requests), _SIDE_BY_SIDE):
            part = range(start, min(start + _SIDE_BY_SIDE, len(requests)))
            jobs = [
                self._job(batch, member, vocabulary, requests[n], sources[n] if sources else None)
                for n in part
            ]
            for job in jobs:
                for _ in batch.read(job):
                    pass
            while batch.rows:
                batch.step()
            said += [job.text for job in jobs]
            report(len(said))
        return said

    def _job(
        self,
        batch: Batch,
        member: Member,
        vocabulary: Vocabulary,
        request: Request,
        source: Request | None,
    ) -> _Answering:
        reading = member.encode(request, room=self._max_tokens)
        prompt = list(reading.tokens)
        sampling = Sampling(self._max_tokens, temperature=0.0, stop=("\n",))
        reader = self._members[self._card.ids.index(self._card.primaries[0])]
        with torch.no_grad():
            bag_F = reader.embed(reader.encode(request).tokens)
            logits_E = self._layers.router(bag_F[None])[0]
        return _Answering(
            batch,
            prompt,
            [Choice(vocabulary, member.ends, sampling, before=prompt[-CONTEXT_OF_PROMPT:])],
            False,
            None,
            reading=reading,
            peers={} if source is None else self._read(source, reading),
            logits_E=logits_E,
        )

    def _read(self, source: Request, reading: Reading) -> dict[int, Reading]:
        """Return what the peers read; of another question, no further than this one goes."""
        found = {}
        for e in self._peers:
            other = self._members[e].encode(source, room=self._card.draft_tokens)
            found[e] = replace(other, ends=other.ends.clamp(max=reading.size))
        return found


def deranged(examples: Sequence[Example], seed: int) -> list[Request]:
    """Return, for each question, another of its task, which may have the same answer by chance.

    Every question is read by somebody: those of a task are shuffled and handed on by one.
    """
    drawn = random.Random(seed)
    other: dict[int, Request] = {}
    for task in dict.fromkeys(example.task for example in examples):
        own = [n for n, example in enumerate(examples) if example.task == task]
        drawn.shuffle(own)
        other |= {n: examples[own[at - 1]].request for at, n in enumerate(own)}
    return [other[n] for n in range(len(examples))]


def hint(request: Request, said: Sequence[str]) -> Request:
    """Return a request with the peers' answers in front of its question."""
    note = "".join(f"Another model answers: {text.strip()}\n" for text in said)
    if request.prompt is not None:
        return replace(request, prompt=note + request.prompt)
    *before, last = request.messages
    return replace(request, messages=(*before, {**last, "content": f"{note}{last['content']}"}))


def grades(examples: Sequence[Example], said: Sequence[str]) -> list[float]:
    """Return how good each answer is, from 0 to 1, as its example's grader says."""

    async def grade() -> list[float]:
        found = []
        for example, text in zip(examples, said, strict=True):
            grader = GRADERS.load(example.grader)()
            found.append(await grader.grade(example.request.text, text, example.reference))
        return found

    return asyncio.run(grade())


def difference(
    first: Sequence[float], second: Sequence[float], *, seed: int = 0, draws: int = DRAWS
) -> Difference:
    """Return how much better `first` is, in points, by a paired bootstrap over questions."""
    import numpy as np

    apart = 100 * (np.asarray(first, float) - np.asarray(second, float))
    drawn = np.random.default_rng(seed).integers(len(apart), size=(draws, len(apart)))
    means = apart[drawn].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    against = min((means <= 0).mean(), (means >= 0).mean())
    p = float(min(1.0, max(2 * against, 1 / draws)))
    return Difference(float(apart.mean()), float(low), float(high), p)
