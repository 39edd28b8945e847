"""An encoder in this process as a member of the fleet: texts in, vectors out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PositiveInt

from motet.config import ExpertEntry, Options
from motet.encoders.domains import Domains, domain_facts
from motet.encoders.encoder import DEFAULT_ENCODER, Backend
from motet.encoders.live import Batcher, Encoders
from motet.errors import (
    ArtifactError,
    ConfigError,
    ExpertUnavailable,
    InputTooLong,
    RequestError,
)
from motet.experts.base import Expert
from motet.types import READY, Capability, Chunk, Health, Request, State, Task, Texts, Usage
from motet.weights import Setting
from motet.wording import did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


class EncoderConfig(Options):
    """Options of `engine: encoder`."""

    model: str = DEFAULT_ENCODER
    """A hub id, a folder or `pypi:package` of sentence-transformers; all-MiniLM-L6-v2 if absent."""
    backend: Backend = "auto"
    """What computes; `auto` is OpenVINO where it is installed and there is no GPU."""
    truncate: bool = False
    """Whether a text beyond the model's context is cut; else it is refused, as OpenAI does."""
    matryoshka: tuple[PositiveInt, ...] = ()
    """Lengths that its vectors may be cut to, of a model that was trained for it; any other
    `dimensions` is refused."""
    query_prompt: str = ""
    """What the model wants before a text of `input_type: query`, such as `query: `."""
    document_prompt: str = ""
    """What it wants before a text of `input_type: document`."""
    artifact: str | None = None
    """Folder that `motet encoder fit` wrote: with `domain`, an expert encoder of that domain."""
    domain: str | None = None
    """Whose map turns vectors of queries; those of `input_type: document` stay as they are."""
    batch: PositiveInt = Field(default=32, le=1024)
    """Most texts that are encoded at once, of all requests together."""


class EncoderExpert(Expert):
    """Encodes with sentence-transformers or OpenVINO; the texts of all requests share batches.

    It runs in each ingress replica, and shares the model in memory with routers that name the
    same.
    """

    Config = EncoderConfig
    task = Task.EMBED
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    options: EncoderConfig

    def __init__(self, entry: ExpertEntry, options: EncoderConfig, setting: Setting) -> None:
        super().__init__(entry, options, setting)
        if (options.artifact is None) is not (options.domain is None):
            raise ConfigError("artifact and domain go together.", at=("domain",))
        self._batcher: Batcher | None = None
        self._domains: tuple[Domains, int] | None = None

    @property
    def slots(self) -> int:
        """Any number: what is asked at once shares batches."""
        return 1024

    @classmethod
    def models(cls, entry: ExpertEntry, setting: Setting) -> tuple[str, ...]:
        """Return its one model."""
        return (str(entry.options.get("model", DEFAULT_ENCODER)),)

    def verify(self, experts: Mapping[str, ExpertEntry]) -> None:
        """Refuse an artifact that is damaged, and a domain that it does not know."""
        if self.options.artifact is None:
            return
        try:
            known = domain_facts(self._folder)["domains"]
        except ArtifactError as error:
            raise ConfigError(str(error), at=("artifact",)) from error
        if self.options.domain not in known:
            raise ConfigError(
                f"the artifact knows no domain {self.options.domain!r}. "
                f"{did_you_mean(str(self.options.domain), known)}",
                at=("domain",),
            )

    @property
    def _folder(self) -> Path:
        return Path(self.setting.folder, str(self.options.artifact)).expanduser()

    async def start(self) -> None:
        """Load the model.

        Raises
        ------
        SourceError
            It cannot be had.
        ArtifactError
            The artifact is damaged, or was made with another encoder.
        """
        await asyncio.to_thread(self._load)

    def _load(self) -> None:
        options = self.options
        encoders: Encoders = self.setting.encoders or Encoders(self.setting)
        encoder = encoders.live(options.model, options.backend).encoder
        if options.artifact is not None:
            domains = Domains.load(self._folder)
            domains.check(encoder)
            self._domains = domains, domains.names.index(str(options.domain))
        self._encoder = encoder
        # Not the one that routers share: a long list of texts must not delay a decision.
        self._batcher = Batcher(encoder, batch=options.batch)

    async def close(self) -> None:
        """Let its thread go; the model is its service's."""
        batcher, self._batcher = self._batcher, None
        if batcher is not None:
            batcher.close()

    async def health(self) -> Health:
        """Return whether the model is loaded."""
        return READY if self._batcher else Health(State.STARTING, "the encoder is not loaded yet")

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Encode the texts of `request`: one chunk with all vectors, then the tokens.

        Raises
        ------
        RequestError
            It holds token ids, asks for dimensions that there are not, or a text is too long.
        """
        batcher, texts = self._batcher, request.texts
        if batcher is None:
            raise ExpertUnavailable(self.card.id, "is not loaded.", retry_after=1.0)
        if texts is None:
            raise RequestError(f"{self.card.id!r} is an encoder, and answers no chat.")
        inputs = self._said(texts)
        counts = await asyncio.to_thread(self._encoder.count, inputs)
        self._check(texts, counts)
        vectors = await _all(batcher, inputs)
        yield embedded(self.card.id, self._shaped(vectors, texts))
        yield Chunk(usage=Usage(sum(min(count, self._encoder.tokens) for count in counts)))

    def _said(self, texts: Texts) -> list[str]:
        """Return the texts as the model wants them."""
        prompts = {"query": self.options.query_prompt, "document": self.options.document_prompt}
        before, said = prompts.get(texts.role or "", ""), []
        for number, text in enumerate(texts.inputs):
            if not isinstance(text, str):
                raise RequestError(
                    f"input[{number}]: {self.card.id!r} takes texts, and no token ids: they are "
                    "numbers of another model's tokenizer.",
                    hint="Send the text (in LangChain: check_embedding_ctx_length=False).",
                    param="input",
                )
            said.append(before + text)
        return said

    def _check(self, texts: Texts, counts: list[int]) -> None:
        limit, width = self._encoder.tokens, self._encoder.width
        wanted = texts.dimensions
        if wanted not in (None, width, *self.options.matryoshka):
            able = ", ".join(map(str, sorted({*self.options.matryoshka, width})))
            raise RequestError(
                f"dimensions: vectors of {self.card.id!r} have {able} numbers. Got {wanted}.",
                param="dimensions",
            )
        longest = max(range(len(counts)), key=counts.__getitem__)
        if counts[longest] > limit and not self.options.truncate:
            raise InputTooLong(self.card.id, longest, limit=limit, wanted=counts[longest])

    def _shaped(self, vectors: Floats, texts: Texts) -> Floats:
        """Return vectors of the domain and of the length that are wanted."""
        import numpy as np

        if self._domains is not None and texts.role != "document":
            domains, number = self._domains
            vectors = domains.turned(vectors, number)
        if texts.dimensions is not None and texts.dimensions < vectors.shape[1]:
            vectors = vectors[:, : texts.dimensions]
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
        return vectors


class PooledEncoder(EncoderExpert):
    """The same in replicas of a pool on Ray, such as on GPUs."""

    home = "pool"

    @property
    def slots(self) -> int:
        """Requests that a replica works on at once; what is asked at once shares batches."""
        return self.options.batch


def embedded(encoder: str, vectors: Iterable[Any]) -> Chunk:
    """Return the chunk that holds an encoder's vectors, and says by whom they are."""
    return Chunk(values=tuple(vectors), choice_extra={"encoder": encoder}, finish="stop")


async def _all(batcher: Batcher, texts: list[str]) -> Floats:
    """Return `[texts, width]`; a caller that leaves leaves all of them."""
    import numpy as np

    return np.stack(await asyncio.gather(*map(batcher.embed, texts)))
