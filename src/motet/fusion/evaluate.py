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
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from motet.fusion.answering import Fused, Generated, alone
from motet.fusion.card import FusionCard
from motet.fusion.data import Example
from motet.fusion.layers import FusionLayers
from motet.fusion.members import FusionMember
from motet.generation.decoding import Sampling
from motet.grading import GRADERS
from motet.progress import Progress
from motet.types import Request

DRAWS = 10_000
_OTHERS = {"P": "deranged", "G": "alone", "over_text": "text", "over_lora": "lora"}
"""What the fused answers are compared with, by the name of the difference."""


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
        member: Callable[[str], FusionMember],
        primary: str,
        *,
        adapted: FusionMember | None = None,
        max_tokens: int = 16,
        seed: int = 0,
    ) -> None:
        self.ids = card.ids
        """Ids of the members."""
        self._members = [member(id) for id in card.ids]
        layers.to(self._members[0].device)
        self._own = member(primary)
        self._fused = Fused(card, layers, self._members, card.ids.index(primary))
        self._adapted = adapted
        self._sampling = Sampling(max_tokens, temperature=0.0, stop=("\n",))
        self._seed = seed

    def answers(self, examples: Sequence[Example], report: Progress) -> dict[str, list[Generated]]:
        """Return the answers of every way, question by question, with all that each way ran."""
        requests = [example.request for example in examples]
        said: dict[str, list[Generated]] = {}

        def ask(way: str, member: FusionMember, asked: Sequence[Request]) -> None:
            told = partial(_tell, report, way, len(asked))
            said[way] = [a for (a,) in alone(member, asked, self._sampling, told)]

        def fuse(way: str, sources: Sequence[Request]) -> None:
            told = partial(_tell, report, way, len(requests))
            said[way] = self._fused.answers(requests, sources, self._sampling, told)

        ask("alone", self._own, requests)
        for e in self._fused.peers:
            ask(self.ids[e], self._members[e], requests)
        fuse("fused", requests)
        fuse("deranged", deranged(examples, self._seed))
        ask("text", self._own, self._hinted(examples, said))
        drafts = zip(*(said[self.ids[e]] for e in self._fused.peers), strict=True)
        said["text"] = [
            replace(answer, reading=answer.reading + sum(draft.flops for draft in own))
            for answer, own in zip(said["text"], drafts, strict=True)
        ]
        if self._adapted is not None:
            ask("lora", self._adapted, requests)
        return said

    def judged(
        self, examples: Sequence[Example], said: Mapping[str, Sequence[Generated]]
    ) -> dict[str, Any]:
        """Return, as plain JSON values, what the answers of `answers` are worth.

        By task: accuracies in percent and billions of operations by way, and the differences that
        matter. Beside them, how many tokens text and fusion add to a prompt.
        """
        right = {way: grades(examples, [a.text for a in own]) for way, own in said.items()}
        tasks: dict[str, Any] = {}
        for task in dict.fromkeys(example.task for example in examples):
            own = [n for n, example in enumerate(examples) if example.task == task]
            of = {way: [scores[n] for n in own] for way, scores in right.items()}
            tasks[task or "all"] = {
                "questions": len(own),
                "accuracy": {way: 100 * sum(s) / len(s) for way, s in of.items()},
                "gflops": {
                    way: sum(answers[n].flops for n in own) / len(own) / 1e9
                    for way, answers in said.items()
                },
                "differences": {
                    name: asdict(difference(of["fused"], of[other], seed=self._seed))
                    for name, other in _OTHERS.items()
                    if other in of
                },
            }
        added = self._added_tokens(examples, said)
        return {"tasks": tasks, "text_adds_tokens": added, "fused_adds_tokens": 0.0}

    def _added_tokens(
        self, examples: Sequence[Example], said: Mapping[str, Sequence[Generated]]
    ) -> float:
        """Return how many tokens the peers' answers add to the primary's prompt, on average."""
        added = [
            len(self._own.encode(hinted).tokens) - len(self._own.encode(example.request).tokens)
            for example, hinted in zip(examples, self._hinted(examples, said), strict=True)
        ]
        return sum(added) / len(added)

    def _hinted(
        self, examples: Sequence[Example], said: Mapping[str, Sequence[Generated]]
    ) -> list[Request]:
        drafts = zip(*(said[self.ids[e]] for e in self._fused.peers), strict=True)
        return [
            hint(example.request, [answer.text for answer in own])
            for example, own in zip(examples, drafts, strict=True)
        ]


def _tell(report: Progress, way: str, total: int, done: int) -> None:
    report(way, done, total)


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
        scores = []
        for example, text in zip(examples, said, strict=True):
            grader = GRADERS.load(example.grader)()
            scores.append(await grader.grade(example.request.text, text, example.reference))
        return scores

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
