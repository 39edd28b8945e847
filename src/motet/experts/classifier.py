"""A classifier in this process as a member of the fleet: texts in, scores by category out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from motet.config import ExpertEntry, Options
from motet.encoders.encoder import Backend
from motet.encoders.live import Batcher, Encoders
from motet.errors import ArtifactError, ConfigError, ExpertUnavailable, RequestError
from motet.experts.base import Expert
from motet.moderation.classifier import TextClassifier, classifier_facts, place_of
from motet.types import READY, Capability, Chunk, Health, Request, State, Task, Usage, Verdict
from motet.weights import Setting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ClassifierConfig(Options):
    """Options of `engine: classifier`."""

    model: str = "meaning"
    """`words`, `letters` or `meaning`, which are shipped, or a folder that `motet moderation train`
    wrote."""
    threshold: float = Field(default=0.5, gt=0, lt=1)
    """Score from which on a category holds, where the classifier is asked by its own name."""
    encoder: str | None = None
    """Where the encoder of `meaning` is, if not under the name it was trained with."""
    backend: Backend = "auto"
    """What computes that encoder."""


class ClassifierExpert(Expert):
    """Scores texts by category, in each ingress replica."""

    Config = ClassifierConfig
    task = Task.MODERATE
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    options: ClassifierConfig

    def __init__(self, entry: ExpertEntry, options: ClassifierConfig, setting: Setting) -> None:
        super().__init__(entry, options, setting)
        self._folder = place_of(options.model, setting.folder)
        self._classifier: TextClassifier | None = None
        self._batcher: Batcher | None = None

    @classmethod
    def models(cls, entry: ExpertEntry, setting: Setting) -> tuple[str, ...]:
        """Return none: it is a file of the package, or one beside the config."""
        return ()

    def verify(self, experts: Mapping[str, ExpertEntry]) -> None:
        """Refuse an artifact that is absent, damaged or stale."""
        try:
            classifier_facts(self._folder)
        except ArtifactError as error:
            raise ConfigError(str(error), at=("model",)) from error

    async def start(self) -> None:
        """Load it, and its encoder where it reads vectors.

        Raises
        ------
        ArtifactError
            It is damaged, or was trained with another encoder.
        SourceError
            The encoder cannot be had.
        """
        await asyncio.to_thread(self._load)

    def _load(self) -> None:
        classifier = TextClassifier.load(self._folder)
        if classifier.encoder is not None:
            encoders: Encoders = self.setting.encoders or Encoders(self.setting)
            name = self.options.encoder or classifier.encoder["name"]
            encoder = encoders.live(name, self.options.backend).encoder
            classifier.check(encoder)
            self._batcher = Batcher(encoder)
        self._classifier = classifier

    async def close(self) -> None:
        """Let its thread go."""
        self._classifier = None
        if self._batcher is not None:
            self._batcher.close()

    async def health(self) -> Health:
        """Return whether it is loaded."""
        return READY if self._classifier else Health(State.STARTING, "it is not loaded yet")

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Score the texts of `request`: one chunk with a verdict on each."""
        classifier = self._classifier
        if classifier is None:
            raise ExpertUnavailable(self.card.id, "is not loaded.", retry_after=1.0)
        texts = texts_of(request, self.card.id)
        if self._batcher is None:
            scores = await asyncio.to_thread(classifier.scores, texts)
        else:
            scores = classifier.of_vectors(await self._vectors(self._batcher, texts))
        names = classifier.categories
        yield Chunk(values=verdicts(names, scores.tolist(), self.options.threshold), finish="stop")
        yield Chunk(usage=Usage())

    async def _vectors(self, batcher: Batcher, texts: list[str]) -> NDArray[np.float32]:
        import numpy as np

        return np.stack(await asyncio.gather(*map(batcher.embed, texts)))


def texts_of(request: Request, classifier: str) -> list[str]:
    """Return the texts that a classifier is asked about.

    Raises
    ------
    RequestError
        There are none, or token ids among them.
    """
    inputs = () if request.texts is None else request.texts.inputs
    texts = [each for each in inputs if isinstance(each, str)]
    if not texts or len(texts) < len(inputs):
        raise RequestError(f"{classifier!r} judges texts, and nothing else.", param="input")
    return texts


def verdicts(
    names: Iterable[str], scores: Iterable[Iterable[float]], threshold: float
) -> tuple[Any, ...]:
    """Return a verdict for each row of scores."""
    names = tuple(names)
    return tuple(Verdict(dict(zip(names, row, strict=True)), threshold) for row in scores)
