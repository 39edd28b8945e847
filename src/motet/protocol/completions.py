"""Text completions: what clients send, and the objects and events they read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from motet.ids import new_id
from motet.protocol.body import Body
from motet.protocol.chat import ChatFramer
from motet.types import ANYBODY, Caller, Chunk, Request
from motet.whole import Joined


class CompletionBody(Body):
    """`POST /v1/completions`."""

    prefix = "cmpl"

    prompt: str | Annotated[list[str], Field(min_length=1, max_length=1)] = Field(
        description="One prompt; send a request for each of several."
    )
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    def request(self, caller: Caller = ANYBODY, id: str | None = None) -> Request:
        """Return the request this body asks for."""
        prompt = self.prompt if isinstance(self.prompt, str) else self.prompt[0]
        return Request(**self.shared(caller, id), prompt=prompt, top_logprobs=self.logprobs)

    def framer(self, id: str | None = None, created: int | None = None) -> CompletionFramer:
        """Return what frames one answer to this body."""
        return CompletionFramer(
            id or new_id(self.prefix), created, include_usage=self.include_usage
        )


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
