"""How an answer looks to clients of Responses: output items, and the events that build them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import orjson

from motet.errors import MotetError
from motet.protocol.frames import DONE, Framer, event
from motet.protocol.responses.output import Output
from motet.types import Chunk, Usage
from motet.whole import Whole

_PLAIN: Mapping[str, Mapping[str, Any]] = {}
_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ResponsesFramer(Framer):
    """OpenAI's response objects and events.

    Parameters
    ----------
    id
        The response's id.
    echo
        What it repeats of its request.
    forms
        How calls of tools are framed; see `forms_of`.
    created
        Its Unix time in seconds; now when absent.

    Attributes
    ----------
    response
        The response as it was last framed.
    """

    def __init__(
        self,
        id: str,
        echo: Mapping[str, Any],
        forms: Mapping[str, Mapping[str, Any]] = _PLAIN,
        created: int | None = None,
    ) -> None:
        self.response: dict[str, Any] = {}
        self._id = id
        self._echo = echo
        self._created = int(time.time()) if created is None else created
        self._output = Output(forms)
        self._finish: str | None = None
        self._extra: dict[str, Any] = {}
        self._number = 0

    def first(self, author: str) -> bytes:
        """Return the events with which a response begins."""
        response = self._response("in_progress", author)
        events = ({"type": f"response.{name}"} for name in ("created", "in_progress"))
        return b"".join(self._event({**each, "response": response}) for each in events)

    def piece(self, chunk: Chunk, author: str) -> bytes:
        """Return the events of `chunk`."""
        return b"".join(map(self._event, self._taken(chunk)))

    def error(self, error: MotetError) -> bytes:
        """Return the end of a response that failed on its way."""
        fault = {"code": error.code or error.type, "message": str(error)}
        response = self._response("failed", str(self.response.get("model", "")), error=fault)
        return self._event({"type": "response.failed", "response": response}) + event(DONE)

    def last(self, author: str, usage: Usage, explanation: Any) -> bytes:
        """Return what is still open, and the whole response."""
        frames = b"".join(map(self._event, self._output.closed()))
        response = self._ended(author, usage, explanation)
        frames += self._event({"type": f"response.{response['status']}", "response": response})
        return frames + event(DONE)

    def whole(self, answer: Whole, author: str, usage: Usage, explanation: Any) -> bytes:
        """Return the answer as one response."""
        for chunk in answer.chunks()[:1]:
            self._taken(chunk)
        self._output.closed()
        return orjson.dumps(self._ended(author, usage, explanation))

    def _taken(self, chunk: Chunk) -> list[dict[str, Any]]:
        """Put a chunk into the output, and return what happened there.

        There is one answer; what an expert sends of others is nothing.
        """
        if chunk.index:
            return []
        self._finish = chunk.finish or self._finish
        self._extra |= chunk.answer_extra
        return self._output.add(chunk)

    def _ended(self, author: str, usage: Usage, explanation: Any) -> dict[str, Any]:
        """Return the response as its answer has ended."""
        reason = _REASONS.get(self._finish or "")
        beside: dict[str, Any] = {} if explanation is None else {"motet": explanation}
        beside["usage"] = usage_json(usage)
        if reason is None:
            return self._response("completed", author, completed_at=int(time.time()), **beside)
        details = {"reason": reason}
        return self._response("incomplete", author, incomplete_details=details, **beside)

    def _response(self, status: str, author: str, **values: Any) -> dict[str, Any]:
        self.response = {
            **self._extra,
            **self._output.extra,
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "completed_at": None,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": author,
            "output": list(self._output.items),
            "usage": None,
            **self._echo,
            **values,
        }
        return self.response

    def _event(self, values: Mapping[str, Any]) -> bytes:
        kind = values["type"]
        numbered = {"type": kind, "sequence_number": self._number, **values}
        self._number += 1
        return event(orjson.dumps(numbered), kind)


def usage_json(usage: Usage) -> dict[str, Any]:
    """Return the usage object of Responses."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }
