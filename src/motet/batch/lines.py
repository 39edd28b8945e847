"""The lines of a batch's input, in OpenAI's Batch format."""

from __future__ import annotations

import codecs
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Self

import orjson

from motet.errors import BatchError, InvalidLine
from motet.protocol.body import Body
from motet.protocol.chat import ChatBody
from motet.protocol.completions import CompletionBody
from motet.types import ANYBODY, Caller, Request
from motet.wording import did_you_mean, nearest, shown

ENDPOINTS: Mapping[str, type[Body]] = {
    "/v1/chat/completions": ChatBody,
    "/v1/completions": CompletionBody,
}
"""What a line may ask: the path -> its body."""

LONGEST_LINE = 8 * 1024**2
"""Bytes of a line, as of a request's body."""
_FIELDS = ("custom_id", "method", "url", "body")


@dataclass(frozen=True, slots=True)
class Line:
    """A checked line."""

    custom_id: str
    body: Body
    request: Request


@dataclass(frozen=True, slots=True)
class Rules:
    """What this batch asks of its lines.

    Attributes
    ----------
    model
        For bodies that name none; None leaves that an error.
    endpoint
        The one `url` that lines may have; None allows each of `ENDPOINTS`.
    caller
        Who asks all of them.
    """

    model: str | None = None
    endpoint: str | None = None
    caller: Caller = ANYBODY

    def read(self, raw: bytes, id: str) -> Line:
        """Return the line in `raw`, whose request is to be called `id`.

        Raises
        ------
        InvalidLine
            The line is not of the Batch format.
        RequestError
            Its body is not of the endpoint's form.
        """
        values = _object(raw)
        kind = ENDPOINTS[self._endpoint(values)]
        content = values["body"]
        if self.model is not None and isinstance(content, dict):
            content = {"model": self.model, **content}
        body = kind.of(content)
        if body.stream:
            raise InvalidLine(
                "body.stream: a batch returns whole answers.",
                hint="Leave stream out, or set it to false.",
                param="body.stream",
            )
        return Line(values["custom_id"], body, body.request(self.caller, id))

    def _endpoint(self, values: dict[str, Any]) -> str:
        if values["method"] != "POST":
            raise InvalidLine(
                f"method: expected 'POST', got {shown(values['method'])}.", param="method"
            )
        allowed = ENDPOINTS if self.endpoint is None else (self.endpoint,)
        url = values["url"]
        if not isinstance(url, str) or url not in allowed:
            raise InvalidLine(
                f"url: {shown(url)} is not an endpoint of this batch.",
                hint=did_you_mean(url, allowed),
                param="url",
            )
        return url


def custom_id_of(raw: bytes) -> str | None:
    """Return the `custom_id` of a line, as far as it has one, for messages about it."""
    if len(raw) > LONGEST_LINE:
        return None
    try:
        values = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    name = values.get("custom_id") if isinstance(values, dict) else None
    return name if isinstance(name, str) else None


def _object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object of a line that has every field of the format."""
    if len(raw) > LONGEST_LINE:
        raise InvalidLine(f"It is longer than {LONGEST_LINE} bytes.")
    try:
        values = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        hint = "Save the file as UTF-8." if "UTF-8" in str(error) else ""
        raise InvalidLine(f"It is not valid JSON: {error}.", hint=hint) from None
    if not isinstance(values, dict):
        raise InvalidLine(f"Expected a JSON object, got {type(values).__name__}.")
    for field in _FIELDS:
        if field not in values:
            close = nearest(field, (key for key in values if key not in _FIELDS))
            near = f" There is {close!r}." if close else ""
            raise InvalidLine(f"{field}: field required.{near}", param=field)
    if not isinstance(values["custom_id"], str) or not values["custom_id"]:
        raise InvalidLine(
            f"custom_id: expected a string, got {shown(values['custom_id'])}.", param="custom_id"
        )
    return values


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands: its number, from 1, and its bytes in the file."""

    number: int
    offset: int
    size: int


class InputFile:
    """The input of a batch, read line by line and, later, line for line at its place.

    Attributes
    ----------
    digest
        SHA-256 of the content, in hexadecimal digits.
    modified
        When it was last changed, as Unix time in seconds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self.digest = hashlib.file_digest(file, "sha256").hexdigest()
            self._file = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise BatchError(
                f"{path}: cannot be read: {error.strerror or error}.",
                hint="Name a file of JSON lines in OpenAI's Batch format.",
            ) from None
        self.modified = int(os.fstat(self._file).st_mtime)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def places(self) -> Iterator[tuple[Place, bytes]]:
        """Yield every line that is not blank, with its place; of a longer one what is read of it.

        `Rules.read` refuses those, since more than `LONGEST_LINE` bytes of them are here.
        """
        with self.path.open("rb") as file:
            if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:  # some editors write it
                file.seek(0)
            for number in count(1):
                offset = file.tell()
                raw = file.readline(LONGEST_LINE + 1)
                if not raw:
                    return
                piece = raw
                while len(piece) > LONGEST_LINE and not piece.endswith(b"\n"):
                    piece = file.readline(LONGEST_LINE + 1)
                if raw.strip():
                    yield Place(number, offset, file.tell() - offset), raw

    def read(self, offset: int, size: int) -> bytes:
        """Return the line whose bytes stand there."""
        return os.pread(self._file, size, offset)
