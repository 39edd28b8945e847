"""Request bodies as clients send them; message, tool and format types are OpenAI's library's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar

import orjson
from openai.types.chat import (
    ChatCompletionMessageParam,
    ChatCompletionToolChoiceOptionParam,
    ChatCompletionToolUnionParam,
)
from openai.types.chat.completion_create_params import ResponseFormat
from pydantic import BaseModel, ConfigDict, Discriminator, Field, ValidationError
from pydantic_core import ErrorDetails, SchemaValidator

from motet.errors import RequestError
from motet.types import Request

T = TypeVar("T")

_MOST_CHOICES = 64


def json_of(content: bytes) -> Any:
    """Return the values of a JSON body.

    Raises
    ------
    RequestError
        It is not JSON.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise RequestError(
            f"The request body is not valid JSON: {error}.", hint="Send a JSON object."
        ) from None


def checked(values: Any, validate: Callable[[Any], T]) -> T:
    """Return what `validate` makes of `values`; pydantic's faults become one error of ours."""
    try:
        return validate(values)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        raise _explain(values, details) from None


class StreamOptions(BaseModel):
    """What a stream carries besides the answer."""

    include_usage: bool | None = None


class MotetOptions(BaseModel):
    """Motet's own request options, under the key `motet`."""

    model_config = ConfigDict(extra="forbid")

    explain: bool = False
    """Add the decision, every expert call, usage and cost to the answer."""


class Body(BaseModel):
    """Fields that chat and completions share; unnamed ones go to the expert untouched."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str = Field(min_length=1, description="An expert or a composition; see /v1/models.")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=_MOST_CHOICES)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    user: str | None = None
    motet: MotetOptions = MotetOptions()

    _validator: ClassVar[SchemaValidator]

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Return the body in `content`.

        Raises
        ------
        RequestError
            It is not JSON, or not of this form; names the field.
        """
        return cls.of(json_of(content))

    @classmethod
    def of(cls, values: Any) -> Self:
        """Return the body that parsed JSON means.

        Raises
        ------
        RequestError
            It is not of this form; names the field.
        """
        body: Self = checked(values, cls._validator.validate_python)
        return body

    def shared(self) -> dict[str, Any]:
        """Return the fields of a `Request` that chat and completions fill alike."""
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        return {
            "model": self.model,
            "stream": bool(self.stream),
            "n": self.n or 1,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "stop": tuple(text for text in stop if text),
            "seed": self.seed,
            "user": self.user,
            "extra": {k: v for k, v in (self.model_extra or {}).items() if v is not None},
        }


class ChatBody(Body):
    """`POST /v1/chat/completions` and `POST /v1/route`."""

    messages: list[Annotated[ChatCompletionMessageParam, Discriminator("role")]] = Field(
        min_length=1
    )
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: Annotated[list[ChatCompletionToolUnionParam], Field(max_length=128)] | None = None
    tool_choice: ChatCompletionToolChoiceOptionParam | None = None
    response_format: ResponseFormat | None = None
    metadata: dict[str, str] | None = None

    def request(self) -> Request:
        """Return the request this body asks for."""
        shared = self.shared()
        if self.max_completion_tokens is not None:
            shared["max_tokens"] = self.max_completion_tokens
        return Request(
            **shared,
            messages=tuple(self.messages),
            top_logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            tools=tuple(self.tools or ()),
            tool_choice=self.tool_choice,
            response_format=self.response_format,
            metadata=self.metadata or {},
        )


class CompletionBody(Body):
    """`POST /v1/completions`."""

    prompt: str | Annotated[list[str], Field(min_length=1, max_length=1)] = Field(
        description="One prompt; send a request for each of several."
    )
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    def request(self) -> Request:
        """Return the request this body asks for."""
        prompt = self.prompt if isinstance(self.prompt, str) else self.prompt[0]
        return Request(**self.shared(), prompt=prompt, top_logprobs=self.logprobs)


def _eager(schema: Any) -> Any:
    """Return a core schema that reads OpenAI's types at once and whole.

    Their `Iterable` fields would be validated on iteration, long after the answer has begun, and
    their keys newer than this library would be dropped.
    """
    if isinstance(schema, list | tuple):
        return type(schema)(_eager(item) for item in schema)
    if not isinstance(schema, Mapping):
        return schema
    copied = {key: _eager(value) for key, value in schema.items()}
    if copied.get("type") == "generator":
        copied["type"] = "list"
    if copied.get("type") == "typed-dict":
        copied["extra_behavior"] = "allow"
    return copied


for _body in (ChatBody, CompletionBody):
    # Not prebuilt: pydantic would put the model's own validator in the place of this schema.
    _body._validator = SchemaValidator(_eager(_body.__pydantic_core_schema__), _use_prebuilt=False)


def _explain(values: Any, details: list[ErrorDetails]) -> RequestError:
    """Return one error for the fault that matters most.

    The deepest one, so that unions read well, and of those a wrong value before a missing one.
    """
    detail = max(details, key=lambda item: (len(item["loc"]), item["type"] != "missing"))
    field = _field(values, detail)
    message = detail["msg"].removeprefix("Value error, ")
    got = "" if detail["type"] == "missing" else f" Got {_short(detail['input'])}."
    return RequestError(f"{field or 'The body'}: {message}.{got}", param=field or None)


def _field(value: Any, detail: ErrorDetails) -> str:
    """Return the path of a fault in the client's terms, without the names of union members."""
    field = ""
    for part in detail["loc"]:
        if isinstance(part, int) and isinstance(value, list) and part < len(value):
            field += f"[{part}]"
            value = value[part]
        elif isinstance(value, dict) and part in value:
            field += f".{part}" if field else str(part)
            value = value[part]
    if detail["type"] == "missing":
        field += f".{detail['loc'][-1]}" if field else str(detail["loc"][-1])
    return field


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
