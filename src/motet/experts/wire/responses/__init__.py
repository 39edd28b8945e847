"""OpenAI's Responses, as an expert's host speaks it."""

from __future__ import annotations

from typing import Any

from motet.experts.wire.base import Wire
from motet.experts.wire.responses.answer import ResponsesReader
from motet.experts.wire.responses.request import body_of
from motet.types import Request


class ResponsesWire(Wire):
    """Responses, none of which the host is to keep."""

    def path(self, request: Request) -> str:
        """Return the one endpoint that answers."""
        return "/responses"

    def body(self, request: Request, model: str) -> dict[str, Any]:
        """Return the JSON body."""
        return body_of(request, model)

    def reader(self, expert: str) -> ResponsesReader:
        """Return what reads one answer."""
        return ResponsesReader(expert)
