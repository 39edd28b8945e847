"""An expert behind a URL that speaks Anthropic's Messages."""

from __future__ import annotations

from pydantic import PositiveInt

from motet.experts.remote import RemoteExpert
from motet.experts.remote_config import RemoteConfig
from motet.experts.wire.base import Wire
from motet.experts.wire.messages import MessagesWire
from motet.types import Capability

_NOT_SAID = {Capability.COMPLETIONS, Capability.LOGPROBS, Capability.AUDIO}


class AnthropicConfig(RemoteConfig):
    """Options of `engine: anthropic`."""

    max_tokens: PositiveInt = 8192
    """Bound on generated tokens where a client gives none, for Messages wants one."""
    version: str = "2023-06-01"
    """Version of the protocol that is asked for."""


class AnthropicExpert(RemoteExpert):
    """Asks a host that speaks Messages."""

    Config = AnthropicConfig
    options: AnthropicConfig
    capabilities = frozenset(Capability) - _NOT_SAID

    @property
    def wire(self) -> Wire:
        """The protocol that the host speaks."""
        return MessagesWire(self.options.max_tokens, self.options.version)
