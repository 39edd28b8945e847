"""Chat and text completions, which nearly every host speaks."""

from __future__ import annotations

from typing import Any

from motet.experts.wire.answer import Reader
from motet.experts.wire.base import Wire
from motet.experts.wire.request import body_of
from motet.types import Request


class ChatWire(Wire):
    """OpenAI's chat and text completions."""

    def path(self, request: Request) -> str:
        """Return the endpoint of chats, or of prompts."""
        return "/completions" if request.prompt is not None else "/chat/completions"

    def body(self, request: Request, model: str) -> dict[str, Any]:
        """Return the JSON body."""
        return body_of(request, model)

    def reader(self, expert: str) -> Reader:
        """Return what reads one answer."""
        return Reader(expert)
