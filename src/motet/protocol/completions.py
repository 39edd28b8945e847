"""Text completions: what clients send, and the objects and events they read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from motet.errors import RequestError
from motet.ids import new_id
from motet.protocol.body import PromptBody
from motet.protocol.chat import ChatFramer
from motet.types import ANYBODY, Caller, Chunk, Request
from motet.whole import Joined
from motet.wording import shown

_MOST_PROMPTS = 64
_MOST_ID = 2**31


def prompts_of(value: Any) -> list[str | tuple[int, ...]]:
    """Return the prompts in any of OpenAI's four forms: a text or token ids, one or several.

    Raises
    ------
    RequestError
        It is none of them.
    """
    values = value if isinstance(value, list) else [value]
    if isinstance(value, list) and value and all(_is_token(item) for item in value):
        return [tuple(value)]
    if not 1 <= len(values) <= _MOST_PROMPTS:
        raise _fault(f"must be one prompt to {_MOST_PROMPTS}", value)
    return [_prompt(item) for item in values]


class CompletionBody(PromptBody):
    """`POST /v1/completions`."""

    prefix = "cmpl-"

    prompt: Annotated[Any, AfterValidator(prompts_of)] = Field(
        description="A prompt, as text or as token ids, or a list of prompts; the answers to "
        "several are choices of one answer, `n` of each prompt in order."
    )
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    best_of: Annotated[int, Field(ge=1, le=64)] | None = None

    def requests(self, caller: Caller = ANYBODY) -> list[Request]:
        """Return the requests that the prompts are, each decided on its own."""
        return [self._asking(prompt, caller, None) for prompt in self.prompt]

    def request(self, caller: Caller = ANYBODY, id: str | None = None) -> Request:
        """Return the request that the one prompt is.

        Raises
        ------
        RequestError
            There are several.
        """
        if len(self.prompt) > 1:
            raise RequestError(
                f"prompt: one prompt is expected here. Got {len(self.prompt)}.", param="prompt"
            )
        return self._asking(self.prompt[0], caller, id)

    def framer(self, id: str | None = None, created: int | None = None) -> CompletionFramer:
        """Return what frames one answer to this body."""
        return CompletionFramer(
            id or new_id(self.prefix, ""), created, include_usage=self.include_usage
        )

    def _asking(self, prompt: str | tuple[int, ...], caller: Caller, id: str | None) -> Request:
        shared = self.shared(caller, id)
        if self.best_of is not None:
            shared["extra"] = {**shared["extra"], "best_of": self.best_of}
        if isinstance(prompt, str):
            return Request(**shared, prompt=prompt, top_logprobs=self.logprobs)
        return Request(**shared, prompt="", prompt_ids=prompt, top_logprobs=self.logprobs)


class CompletionFramer(ChatFramer):
    """OpenAI's text completion objects."""

    kind = "text_completion"
    chunk_kind = "text_completion"

    def _delta(self, chunk: Chunk) -> dict[str, Any]:
        return {
            **chunk.choice_extra,
            "index": chunk.index,
            "text": chunk.text,
            "logprobs": chunk.logprobs,
            "finish_reason": chunk.finish,
        }

    def _choice(self, index: int, choice: Joined) -> dict[str, Any]:
        return {
            **choice.choice_extra,
            "index": index,
            "text": choice.text,
            "logprobs": choice.logprobs or None,
            "finish_reason": choice.finish or "stop",
        }


def _prompt(value: Any) -> str | tuple[int, ...]:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(_is_token(item) for item in value):
        return tuple(value)
    raise _fault("must be text, token ids, or a list of either", value)


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_ID


def _fault(rule: str, value: Any) -> RequestError:
    return RequestError(f"prompt: {rule}. Got {shown(value)}.", param="prompt")
