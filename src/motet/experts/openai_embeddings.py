"""An encoder behind any URL that answers OpenAI's `/embeddings`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar

from motet.errors import ExpertError
from motet.experts.encoder import embedded
from motet.experts.remote import RemoteExpert
from motet.experts.wire.base import AnswerReader, Wire
from motet.experts.wire.failure import failure_in
from motet.types import Capability, Chunk, Request, Task, Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class OpenAIEncoder(RemoteExpert):
    """Forwards texts over HTTP; retries, breakers and health are those of an expert there.

    `dimensions` and `input_type` are passed on where a client sends them: the host knows whether
    it can.
    """

    task = Task.EMBED
    capabilities: ClassVar[frozenset[Capability]] = frozenset()

    @property
    def wire(self) -> Wire:
        """The protocol that the host speaks."""
        return _WIRE

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Return a vector for each text; see `Expert.stream`."""
        assert request.texts is not None, "an encoder is asked about texts"
        wanted = len(request.texts.inputs)
        async with aclosing(super().stream(request)) as chunks:
            async for chunk in chunks:
                if not chunk.is_usage_alone and len(chunk.values) != wanted:
                    raise ExpertError(
                        self.card.id, f"sent {len(chunk.values)} vectors for {wanted} texts."
                    )
                yield chunk


class EmbeddingsWire(Wire):
    """OpenAI's embeddings."""

    def path(self, request: Request) -> str:
        """Return the one endpoint."""
        return "/embeddings"

    def body(self, request: Request, model: str) -> dict[str, Any]:
        """Return the JSON body."""
        texts = request.texts
        assert texts is not None, "an encoder is asked about texts"
        inputs = [each if isinstance(each, str) else list(each) for each in texts.inputs]
        optional = {
            "dimensions": texts.dimensions,
            "input_type": texts.role,
            "user": request.user,
        }
        return {
            **request.extra,
            "model": model,
            "input": inputs,
            "encoding_format": "base64",  # a third of the bytes, and exact
            **{name: value for name, value in optional.items() if value is not None},
        }

    def reader(self, expert: str) -> EmbeddingsReader:
        """Return what reads one answer."""
        return EmbeddingsReader(expert)


class EmbeddingsReader(AnswerReader):
    """Reads the vectors of one answer, which comes whole."""

    @property
    def complete(self) -> bool:
        """Whether all of a stream is there; there is none."""
        return False

    def read(self, payload: Any) -> list[Chunk]:
        """Return the vectors and what they took; see `AnswerReader.read`."""
        if not isinstance(payload, dict) or "data" not in payload:
            failure = failure_in(payload, self.expert) if isinstance(payload, dict) else None
            raise failure or ExpertError(self.expert, "answered without vectors.")
        vectors = _vectors(payload["data"], self.expert)
        return [embedded(self.expert, vectors), Chunk(usage=_usage(payload.get("usage")))]


_WIRE = EmbeddingsWire()


def _vectors(data: Any, name: str) -> tuple[NDArray[np.float32], ...]:
    """Return the vectors of an answer, in the order of the texts."""
    import numpy as np

    try:
        items = sorted(data, key=lambda item: item["index"])
        if [item["index"] for item in items] != list(range(len(items))):
            raise ValueError("their numbers are not 0, 1, 2 ...")
        vectors = tuple(_vector(item["embedding"]) for item in items)
        if not all(vector.ndim == 1 and np.isfinite(vector).all() for vector in vectors):
            raise ValueError("one holds what is no number")
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise ExpertError(name, f"its vectors cannot be read: {error}.") from error
    return vectors


def _vector(said: Any) -> NDArray[np.float32]:
    import numpy as np

    if isinstance(said, str):
        return np.frombuffer(base64.b64decode(said, validate=True), "<f4").astype(np.float32)
    return np.asarray(said, np.float32)  # some hosts know no base64


def _usage(said: Any) -> Usage:
    tokens = said.get("prompt_tokens") if isinstance(said, dict) else None
    return Usage(tokens if isinstance(tokens, int) and tokens > 0 else 0)
