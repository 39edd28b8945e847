"""What endpoints share that ask about texts, and generate nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from motet.errors import MotetError, RequestError
from motet.protocol.body import MotetOptions, checked, json_of
from motet.protocol.errors import error_body
from motet.protocol.frames import Framer
from motet.types import Chunk, Usage
from motet.wording import shown


class TextsBody(BaseModel, ABC):
    """What a client sends about texts."""

    model_config = ConfigDict(extra="forbid", strict=True)

    user: str | None = None
    motet: MotetOptions | None = Field(None, description="Motet's own options.")

    @abstractmethod
    def framer(self) -> Framer:
        """Return what frames the answer."""

    @property
    def explain(self) -> bool:
        """Whether the answer is to say who was asked, and what it took."""
        return self.motet is not None and self.motet.explain

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Return the body in `content`.

        Raises
        ------
        RequestError
            It is not JSON, or not of this form; names the field.
        """
        body: Self = checked(json_of(content), cls.model_validate)
        return body


class WholeFramer(Framer):
    """Frames what is never streamed."""

    def piece(self, chunk: Chunk, author: str) -> bytes:
        """Return nothing: there is no stream."""
        return b""

    def error(self, error: MotetError) -> bytes:
        """Return the error as a body."""
        return error_body(error)

    def last(self, author: str, usage: Usage, explanation: Any) -> bytes:
        """Return nothing: there is no stream."""
        return b""


def bounded(value: Any, most: int) -> list[Any]:
    """Return a text or a list of inputs as a list of one to `most`.

    Raises
    ------
    RequestError
        There are none, or more.
    """
    values = value if isinstance(value, list) else [value]
    if not values:
        raise fault("there must be at least one text", value)
    if len(values) > most:
        raise RequestError(
            f"input: at most {most} texts may be sent at once. Got {len(values)}.", param="input"
        )
    return values


def fault(rule: str, value: Any, number: int | None = None) -> RequestError:
    """Return the error of an input that breaks `rule`."""
    at = "input" if number is None else f"input[{number}]"
    return RequestError(f"{at}: {rule}. Got {shown(value)}.", param="input")
