"""What the bodies of all endpoints share, and how a fault in one is told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from motet.conversation.identity import name_in
from motet.errors import RequestError
from motet.ids import new_id
from motet.parsing import parsed
from motet.protocol.frames import Framer
from motet.types import ANYBODY, Caller, Request
from motet.wording import shown

T = TypeVar("T")

_MOST_CHOICES = 64
_BOUNDS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "n")
"""By what the protocols say how much may be answered."""

Texts = Annotated[
    list[str],
    Field(max_length=16, fail_fast=True),
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
]
"""One text or several."""


def json_of(content: bytes) -> Any:
    """Return the values of a JSON body.

    Raises
    ------
    RequestError
        It is not JSON.
    """
    try:
        return parsed(content)
    except ValueError as error:
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

    model_config = ConfigDict(strict=True)

    include_usage: bool | None = None


class MotetOptions(BaseModel):
    """Motet's own request options, under the key `motet`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    explain: bool = False
    """Add the decision, every expert call, usage and cost to the answer."""


class Body(BaseModel, ABC):
    """What a client sends: a request, and how its answer is to be framed.

    These fields are those of every protocol; what a protocol does not name goes to the expert
    untouched.
    """

    model_config = ConfigDict(extra="allow", strict=True)

    prefix: ClassVar[str]
    """How the ids of its answers begin."""

    model: str = Field(min_length=1, description="An expert or a composition; see /v1/models.")
    stream: bool | None = None
    motet: MotetOptions | None = None

    @abstractmethod
    def request(self, caller: Caller = ANYBODY, id: str | None = None) -> Request:
        """Return the request this body asks for.

        Parameters
        ----------
        caller
            Who asks; no body says so itself.
        id
            The request's id; a new one when absent.

        Raises
        ------
        RequestError
            Chat, which experts speak, has no words for a field.
        """

    def requests(self, caller: Caller = ANYBODY) -> list[Request]:
        """Return the requests this body asks for: one, where it has no list of prompts."""
        return [self.request(caller)]

    @abstractmethod
    def framer(self, id: str | None = None, created: int | None = None) -> Framer:
        """Return what frames one answer to this body.

        Parameters
        ----------
        id, created
            The answer's id and its Unix time in seconds; new ones when absent.
        """

    @property
    def explain(self) -> bool:
        """Whether the answer is to say who was asked, why, and what it took."""
        return self.motet is not None and self.motet.explain

    @property
    def unnamed(self) -> dict[str, Any]:
        """The fields that this protocol does not name, less their nulls.

        Raises
        ------
        RequestError
            One bounds the answer, as another protocol says it: beside what is said here an expert
            would go by it, past every limit.
        """
        unnamed = {k: v for k, v in (self.model_extra or {}).items() if v is not None}
        if unnamed.get("n") == 1:
            del unnamed["n"]  # as it is without
        if beside := [name for name in _BOUNDS if name in unnamed]:
            ours = " or ".join(name for name in _BOUNDS if name in type(self).model_fields)
            raise RequestError(
                f"{beside[0]}: this endpoint has no such field, and bounds its answer by {ours}.",
                param=beside[0],
            )
        return unnamed

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
        body: Self = checked(values, cls.model_validate)
        return body

    @property
    def session(self) -> str:
        """The client's name of its conversation, where a field says so; else empty."""
        key = getattr(self, "prompt_cache_key", None)  # of some protocols a field, of others not
        return name_in({"key": key}, "key") or name_in(self._metadata, "session_id", "user_id")

    @property
    def _metadata(self) -> dict[str, Any]:
        """What a client says of its request, where it does."""
        said = getattr(self, "metadata", None)
        return said if isinstance(said, dict) else {}


class PromptBody(Body):
    """The fields that chat and text completions share."""

    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=_MOST_CHOICES)] | None = None
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=0)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop: Texts | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    user: str | None = None

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with the tokens it took."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def _limit(self) -> dict[str, Any]:
        """Return the bound on generated tokens, and under which name it came; the newer wins."""
        name = "max_tokens" if self.max_completion_tokens is None else "max_completion_tokens"
        return {"max_tokens": getattr(self, name), "max_tokens_name": name}

    def shared(self, caller: Caller, id: str | None) -> dict[str, Any]:
        """Return the fields of a `Request` that chat and completions fill alike."""
        return {
            "model": self.model,
            "stream": bool(self.stream),
            "n": self.n or 1,
            **self._limit(),
            "temperature": self.temperature,
            "top_p": self.top_p,
            "stop": tuple(text for text in self.stop or () if text),
            "seed": self.seed,
            "user": self.user,
            "session": self.session,
            "subagent": name_in(self._metadata, "subagent"),
            "caller": caller,
            "id": id or new_id("req"),
            "extra": self.unnamed,
        }


def _explain(values: Any, details: list[ErrorDetails]) -> RequestError:
    """Return one error for the fault that matters most.

    The deepest one, so that unions read well, and of those a wrong value before a missing one.
    """
    detail = max(details, key=lambda item: (len(item["loc"]), item["type"] != "missing"))
    field = _field(values, detail)
    message = detail["msg"].removeprefix("Value error, ")
    got = "" if detail["type"] == "missing" else f" Got {shown(detail['input'])}."
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
