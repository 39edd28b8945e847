"""Scripted encoders and classifiers, beside the scripted expert."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import AsyncGenerator

from pydantic import Field, PositiveInt

from motet.experts.fake import ERRORS, FakeConfig, FakeExpert
from motet.types import Chunk, Request, Task, Usage, Verdict


class FakeEncoderConfig(FakeConfig):
    """Options of `engine: fake-encoder`; those of an answer in words mean nothing to it."""

    width: PositiveInt = 4
    """Numbers in a vector."""


class FakeEncoder(FakeExpert):
    """Plays an encoder: a text's vector follows from its letters, its tokens are its words."""

    Config = FakeEncoderConfig
    task = Task.EMBED
    capabilities = frozenset()
    options: FakeEncoderConfig

    async def _play(self, request: Request) -> AsyncGenerator[Chunk, None]:
        inputs = await _asked(self, request)
        yield Chunk(
            values=tuple(_vector(each, self.options.width) for each in inputs),
            choice_extra={"encoder": self.card.id},
            finish="stop",
        )
        words = (len(each.split()) if isinstance(each, str) else len(each) for each in inputs)
        yield Chunk(usage=Usage(sum(words)))


class FakeClassifierConfig(FakeConfig):
    """Options of `engine: fake-classifier`; those of an answer in words mean nothing to it."""

    words: dict[str, str] = Field(default_factory=dict)
    """Categories by the word that makes a text fall in them."""
    score: float = 0.9
    """Score of such a category; the others have what is left of 1."""


class FakeClassifier(FakeExpert):
    """Plays a classifier: a word of a text decides."""

    Config = FakeClassifierConfig
    task = Task.MODERATE
    capabilities = frozenset()
    options: FakeClassifierConfig

    async def _play(self, request: Request) -> AsyncGenerator[Chunk, None]:
        inputs = await _asked(self, request)
        yield Chunk(values=tuple(map(self._verdict, inputs)), finish="stop")
        yield Chunk(usage=Usage())

    def _verdict(self, text: str | tuple[int, ...]) -> Verdict:
        script = self.options
        scores = dict.fromkeys(script.words.values(), 1 - script.score)
        said = str(text).lower()
        scores |= {
            category: script.score for word, category in script.words.items() if word in said
        }
        return Verdict(scores)


async def _asked(expert: FakeExpert, request: Request) -> tuple[str | tuple[int, ...], ...]:
    """Return the texts that a scripted member is asked about, after its delay; or fail as told."""
    script = expert.options
    await asyncio.sleep(script.delay_s)
    if script.fail_after is not None:
        raise ERRORS[script.error](expert.card.id, "scripted failure.", retry_after=1.0)
    assert request.texts is not None, "it is asked about texts"
    return request.texts.inputs


def _vector(text: str | tuple[int, ...], width: int) -> tuple[float, ...]:
    """Return a vector of length one that is the same for the same text everywhere."""
    digits = hashlib.shake_128(repr(text).encode()).digest(2 * width)
    values = [int.from_bytes(digits[at : at + 2]) - 32767.5 for at in range(0, 2 * width, 2)]
    length = math.hypot(*values)
    return tuple(value / length for value in values)
