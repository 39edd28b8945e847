"""How an answer is framed: as server-sent events, piece by piece, or as one body.

A protocol's framer owns every byte of that; nothing else writes events.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from motet.errors import MotetError
from motet.types import Chunk, Usage
from motet.whole import Whole

DONE = b"[DONE]"
"""The data of the event with which OpenAI's streams end."""


def event(data: bytes, name: str | None = None) -> bytes:
    """Return one server-sent event; `data` is one line."""
    head = b"" if name is None else b"event: " + name.encode() + b"\n"
    return head + b"data: " + data + b"\n\n"


class Framer(ABC):
    """Frames one answer. Everything it returns is sent as it is; empty bytes are nothing.

    `author` is the expert whose words go out, `explanation` plain JSON values, None when the client
    wants none.
    """

    keep_alive = b": keep-alive\n\n"
    """What a stream says while nothing happens: a comment, which clients skip."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What a client of this protocol reads of an answer before its body."""
        return {}

    def first(self, author: str) -> bytes:
        """Return what stands before the first piece."""
        return b""

    @abstractmethod
    def piece(self, chunk: Chunk, author: str) -> bytes:
        """Return the events of one chunk."""

    @abstractmethod
    def error(self, error: MotetError) -> bytes:
        """Return what ends a stream whose words are out already, in place of `last`."""

    @abstractmethod
    def last(self, author: str, usage: Usage, explanation: Any) -> bytes:
        """Return what ends a stream."""

    @abstractmethod
    def whole(self, answer: Whole, author: str, usage: Usage, explanation: Any) -> bytes:
        """Return the answer as one body."""
