"""What clients of Responses send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, PrivateAttr

from motet.ids import new_id
from motet.protocol.body import Body, StreamOptions
from motet.protocol.reading import fault, object_at, one_of, text_at
from motet.protocol.responses.framer import ResponsesFramer
from motet.protocol.responses.items import items_of, turns_of
from motet.protocol.responses.tools import choice_of, forms_of, tools_of
from motet.types import ANYBODY, Caller, Request

Item = Mapping[str, Any]

_LOGPROBS = "message.output_text.logprobs"
_NOT_HERE = {
    "background": "an answer is given at once or as a stream, and none goes on without its client; "
    "for many requests at leisure there is /v1/batches",
    "conversation": "conversations are kept as responses; continue one by previous_response_id",
    "prompt": "templates of prompts are not kept here; send instructions and input",
    "context_management": "input is never shortened here; send what is to be read",
}
"""Fields that ask for what no expert nor Motet does."""
_PASSED = (
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
)
"""Fields that chat has under the same names."""

_NATIVE = ("include", "client_metadata")
"""Fields that only a host of Responses has a use for."""


class ResponsesBody(Body):
    """`POST /v1/responses`."""

    prefix = "resp_"

    input: Annotated[Any, AfterValidator(items_of)] = Field(
        default=(), description="A text, or items: messages, calls of tools and what came of them."
    )
    instructions: str | None = None
    previous_response_id: Annotated[str, Field(max_length=128)] | None = None
    store: bool | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    max_tool_calls: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: list[Any] | None = Field(default=None, max_length=128)
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    text: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    include: list[str] | None = None
    truncation: str | None = None
    metadata: dict[str, str] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    user: str | None = None
    stream_options: StreamOptions | None = None
    client_metadata: Any = None
    background: bool | None = None
    conversation: Any = None
    prompt: Any = None
    context_management: Any = None

    _earlier: tuple[Item, ...] = PrivateAttr(())

    @property
    def is_kept(self) -> bool:
        """Whether the answer can be asked for, and continued, later."""
        return self.store is not False

    @property
    def items(self) -> tuple[Item, ...]:
        """All that is to be read: what came before, and what is new."""
        return (*self._earlier, *self.input)

    def after(self, earlier: tuple[Item, ...]) -> Self:
        """Return the body as what continues a conversation."""
        body = self.model_copy()
        body._earlier = earlier
        return body

    def request(self, caller: Caller = ANYBODY, id: str | None = None) -> Request:
        """Return the request this body asks for."""
        self._refuse_what_is_not_here()
        instructed = [{"role": "system", "content": self.instructions}] if self.instructions else []
        turns = (*instructed, *turns_of(self.items, first=-len(self._earlier)))
        if not turns:
            fault("input", "Field required")
        reasoning = self.reasoning or {}
        extra = {name: getattr(self, name) for name in _PASSED}
        extra["reasoning_effort"] = reasoning.get("effort")
        extra["verbosity"] = (self.text or {}).get("verbosity")
        wants_logprobs = self.top_logprobs or _LOGPROBS in (self.include or ())
        return Request(
            model=self.model,
            messages=turns,
            stream=bool(self.stream),
            max_tokens=self.max_output_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            top_logprobs=(self.top_logprobs or 0) if wants_logprobs else None,
            tools=tools_of(self.tools or []),
            tool_choice=choice_of(self.tool_choice),
            response_format=self._format(),
            metadata=self.metadata or {},
            user=self.user,
            extra={**self.unnamed, **{k: v for k, v in extra.items() if v is not None}},
            native={"responses": self._native(reasoning)},
            caller=caller,
            id=id or new_id("req"),
        )

    def framer(self, id: str | None = None, created: int | None = None) -> ResponsesFramer:
        """Return what frames one answer to this body."""
        return ResponsesFramer(
            id or new_id(self.prefix, ""), self._echo(), forms_of(self.tools or []), created
        )

    def _refuse_what_is_not_here(self) -> None:
        for name, why in _NOT_HERE.items():
            if getattr(self, name):
                fault(name, why)
        if self.truncation is not None:
            one_of(self.truncation, ("disabled",), "truncation", "way to shorten a prompt here")

    def _native(self, reasoning: Mapping[str, Any]) -> dict[str, Any]:
        """Return what only a host of Responses has a use for."""
        native = {name: v for name in _NATIVE if (v := getattr(self, name)) is not None}
        beside = {name: value for name, value in reasoning.items() if name != "effort"}
        return native | ({"reasoning": beside} if beside else {})

    def _format(self) -> Mapping[str, Any] | None:
        """Return the format of the answer, as chat says it."""
        form = (self.text or {}).get("format")
        if form is None:
            return None
        form = object_at(form, "text.format")
        kinds = ("text", "json_object", "json_schema")
        kind = one_of(form.get("type"), kinds, "text.format.type", "format")
        if kind != "json_schema":
            return {"type": kind}
        text_at(form.get("name"), "text.format.name")
        object_at(form.get("schema"), "text.format.schema")
        schema = {name: value for name, value in form.items() if name != "type"}
        return {"type": "json_schema", "json_schema": schema}

    def _echo(self) -> dict[str, Any]:
        """Return what a response repeats of its request, with what holds where nothing was said."""
        reasoning, text = self.reasoning or {}, self.text or {}
        return {
            "background": False,
            "instructions": self.instructions,
            "max_output_tokens": self.max_output_tokens,
            "max_tool_calls": self.max_tool_calls,
            "parallel_tool_calls": self.parallel_tool_calls is not False,
            "previous_response_id": self.previous_response_id,
            "prompt_cache_key": self.prompt_cache_key,
            "reasoning": {"effort": None, "summary": None, **reasoning},
            "safety_identifier": self.safety_identifier,
            "service_tier": self.service_tier or "default",
            "store": self.is_kept,
            "temperature": 1.0 if self.temperature is None else self.temperature,
            "text": {"format": {"type": "text"}, **text},
            "tool_choice": self.tool_choice or "auto",
            "tools": self.tools or [],
            "top_logprobs": self.top_logprobs or 0,
            "top_p": 1.0 if self.top_p is None else self.top_p,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "truncation": "disabled",
            "user": self.user,
            "metadata": self.metadata or {},
        }
