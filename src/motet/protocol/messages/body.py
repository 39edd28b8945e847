"""What clients of Messages send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, Field

from motet.ids import new_id
from motet.protocol.body import Body
from motet.protocol.messages.framer import MessagesFramer
from motet.protocol.messages.turns import choice_of, system_of, tools_of, turns_of
from motet.protocol.reading import object_at, typed_at
from motet.types import ANYBODY, Caller, Request

_NATIVE = ("thinking", "output_config", "service_tier", "context_management", "container", "betas")
"""Fields that say how a host of Messages is to work; no other would know what to do with them."""


class CountBody(Body):
    """`POST /v1/messages/count_tokens`: what a prompt holds."""

    prefix = "msg_"

    messages: Annotated[list[Any], AfterValidator(turns_of)] = Field(
        min_length=1, description="Anthropic's messages: user and assistant, as text or blocks."
    )
    system: Annotated[Any, AfterValidator(system_of)] = Field(
        default=None, description="A text, or blocks of text.", validate_default=True
    )
    tools: Annotated[Any, AfterValidator(lambda tools: tools_of(tools or []))] = Field(
        default=None, description="Tools by their schema.", validate_default=True
    )
    tool_choice: Annotated[Any, AfterValidator(choice_of)] = Field(
        default=None, validate_default=True
    )

    def request(self, caller: Caller = ANYBODY, id: str | None = None) -> Request:
        """Return the request whose tokens are to be counted."""
        choice, _ = self.tool_choice
        return Request(
            model=self.model,
            messages=(*self.system, *self.messages),
            tools=self.tools,
            tool_choice=choice,
            caller=caller,
            id=id or new_id("req"),
        )

    def framer(self, id: str | None = None, created: int | None = None) -> MessagesFramer:
        """Return what frames an answer to this prompt."""
        return MessagesFramer(id or new_id(self.prefix, ""), lambda: tokens_of(self.request()))


class MessagesBody(CountBody):
    """`POST /v1/messages`."""

    max_tokens: Annotated[int, Field(ge=0)]
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop_sequences: Annotated[list[str], Field(max_length=8192)] | None = None
    metadata: dict[str, Any] | None = None
    thinking: Any = None
    output_config: Any = None
    service_tier: Any = None
    context_management: Any = None
    container: Any = None
    betas: Any = None

    def request(self, caller: Caller = ANYBODY, id: str | None = None) -> Request:
        """Return the request this body asks for."""
        choice, beside = self.tool_choice
        native = {name: value for name in _NATIVE if (value := getattr(self, name)) is not None}
        return Request(
            model=self.model,
            messages=(*self.system, *self.messages),
            stream=bool(self.stream),
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            stop=tuple(text for text in self.stop_sequences or () if text),
            tools=self.tools,
            tool_choice=choice,
            response_format=self._format(),
            metadata={k: v for k, v in (self.metadata or {}).items() if isinstance(v, str)},
            extra={**self.unnamed, **beside},
            native={"messages": native},
            caller=caller,
            id=id or new_id("req"),
        )

    def framer(self, id: str | None = None, created: int | None = None) -> MessagesFramer:
        """Return what frames one answer to this body."""
        return MessagesFramer(
            id or new_id(self.prefix, ""),
            lambda: tokens_of(self.request()),
            tuple(self.stop_sequences or ()),
        )

    def _format(self) -> Mapping[str, Any] | None:
        """Return the schema that binds the answer, as chat says it."""
        if self.output_config is None:
            return None
        form = object_at(self.output_config, "output_config").get("format")
        if form is None:
            return None
        form = typed_at(form, "output_config.format")
        schema = object_at(form.get("schema"), "output_config.format.schema")
        return {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": schema},
        }


def tokens_of(request: Request) -> int:
    """Return about how many tokens a prompt has, tools included, at four characters a token."""
    tools = len(orjson.dumps(list(request.tools))) // 4 if request.tools else 0
    return request.estimated_tokens + tools
