"""Embeddings: what clients send, and the object they read."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, Field

from motet.errors import RequestError
from motet.protocol.texts import TextsBody, WholeFramer, bounded, fault
from motet.types import ANYBODY, Caller, Request, Task, Texts, Usage
from motet.whole import Whole

MOST_INPUTS = 2048
MOST_ROUTED = 64
"""Texts of one request to a composition: each of them is decided on its own."""
_MOST_ID = 2**31
_Format = Literal["float", "base64"]


def inputs_of(value: Any) -> list[str | tuple[int, ...]]:
    """Return the inputs in any of OpenAI's four forms: a text or token ids, one or several.

    Raises
    ------
    RequestError
        It is none of them, empty, or too much.
    """
    if isinstance(value, list) and value and all(map(_is_token, value)):
        return [tuple(value)]
    return [_input(each, number) for number, each in enumerate(bounded(value, MOST_INPUTS))]


class EmbeddingBody(TextsBody):
    """`POST /v1/embeddings`."""

    model: str = Field(
        min_length=1, description="An encoder, or a composition of encoders; see /v1/models."
    )
    input: Annotated[Any, AfterValidator(inputs_of)] = Field(
        description=f"A text, token ids, or a list of either: up to {MOST_INPUTS}, and "
        f"{MOST_ROUTED} for a composition."
    )
    encoding_format: _Format | None = None
    dimensions: Annotated[int, Field(ge=1, le=2**16)] | None = None
    input_type: Literal["query", "document"] | None = Field(
        None, description="Whether the texts are searched with or searched in. Motet's own."
    )

    def requests(self, caller: Caller = ANYBODY, *, routed: bool = False) -> list[Request]:
        """Return the requests this body asks for.

        Parameters
        ----------
        routed
            Whether a router chooses the encoder: then each text is a request.

        Raises
        ------
        RequestError
            There are more texts than may be routed.
        """
        if not routed:
            return [self._request(self.input, caller)]
        if len(self.input) > MOST_ROUTED:
            raise RequestError(
                f"input: a composition takes up to {MOST_ROUTED} texts, each decided on its own. "
                f"Got {len(self.input)}.",
                hint="Send fewer, or name one encoder.",
                param="input",
            )
        return [self._request([each], caller) for each in self.input]

    def framer(self) -> EmbeddingFramer:
        """Return what frames the answer."""
        return EmbeddingFramer(self.encoding_format or "float")

    def _request(self, inputs: list[Any], caller: Caller) -> Request:
        texts = Texts(
            task=Task.EMBED,
            inputs=tuple(inputs),
            dimensions=self.dimensions,
            role=self.input_type,
        )
        return Request(model=self.model, texts=texts, user=self.user, caller=caller)


class EmbeddingFramer(WholeFramer):
    """OpenAI's list of embeddings."""

    def __init__(self, form: _Format) -> None:
        self._form = form

    def whole(self, answer: Whole, author: str, usage: Usage, explanation: Any) -> bytes:
        """Return the vectors in the order of the texts.

        Where a router has chosen for each text, each says by whom its vector is.
        """
        choices = [answer.choices[index] for index in sorted(answer.choices)]
        is_routed = len(choices) > 1
        data: list[dict[str, Any]] = []
        for choice in choices:
            for vector in choice.values:
                data.append(
                    {
                        "object": "embedding",
                        "index": len(data),
                        "embedding": self._written(vector),
                        **(choice.choice_extra if is_routed else {}),
                    }
                )
        tokens = usage.prompt_tokens
        body = {
            "object": "list",
            "data": data,
            "model": author,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        if explanation is not None:
            body["motet"] = explanation
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)

    def _written(self, vector: Sequence[float]) -> Any:
        if self._form == "float":
            return vector if hasattr(vector, "dtype") else list(vector)
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _input(value: Any, number: int) -> str | tuple[int, ...]:
    if isinstance(value, str):
        if not value:
            raise fault("a text must not be empty", value, number)
        return value
    if isinstance(value, list) and value and all(map(_is_token, value)):
        return tuple(value)
    raise fault("must be text, token ids, or a list of either", value, number)


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_ID
