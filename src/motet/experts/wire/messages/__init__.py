"""Anthropic's Messages, as an expert's host speaks it."""

from __future__ import annotations

from typing import Any

from motet.experts.wire.base import Wire
from motet.experts.wire.messages.answer import MessagesReader
from motet.experts.wire.messages.request import body_of
from motet.types import Request


class MessagesWire(Wire):
    """Messages.

    Parameters
    ----------
    max_tokens
        Bound on generated tokens where a request gives none.
    version
        Of the protocol.
    """

    def __init__(self, max_tokens: int, version: str) -> None:
        self._max_tokens = max_tokens
        self._version = version

    def path(self, request: Request) -> str:
        """Return the one endpoint that answers."""
        return "/messages"

    def body(self, request: Request, model: str) -> dict[str, Any]:
        """Return the JSON body."""
        return body_of(request, model, self._max_tokens)

    def reader(self, expert: str) -> MessagesReader:
        """Return what reads one answer."""
        return MessagesReader(expert)

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers of every request."""
        named = {"anthropic-version": self._version}
        return {**named, "x-api-key": key} if key else named
