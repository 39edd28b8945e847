"""An expert behind any OpenAI-compatible URL."""

from __future__ import annotations

from typing import Literal

from motet.experts.remote import RemoteExpert
from motet.experts.remote_config import RemoteConfig
from motet.experts.wire.base import Wire
from motet.experts.wire.chat import ChatWire
from motet.experts.wire.responses import ResponsesWire
from motet.types import Capability

_WIRES: dict[str, Wire] = {"chat": ChatWire(), "responses": ResponsesWire()}


class OpenAIConfig(RemoteConfig):
    """Options of `engine: openai`."""

    api: Literal["chat", "responses"] = "chat"
    """What it is asked through: `/chat/completions` (and `/completions`), which every compatible
    host has, or `/responses`."""


class OpenAIExpert(RemoteExpert):
    """Asks a host that speaks as OpenAI's does."""

    Config = OpenAIConfig
    options: OpenAIConfig
    capabilities = frozenset(Capability)

    @property
    def wire(self) -> Wire:
        """The protocol that the host speaks."""
        return _WIRES[self.options.api]
