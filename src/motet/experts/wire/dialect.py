"""Which of OpenAI's fields a host takes: told by the config, or learned from its refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_REFUSALS = frozenset({400, 422})
_LIMITS = ("max_tokens", "max_completion_tokens")
_MARK = "cache_control"
"""What clients of Anthropic's put on parts, messages and tools; some hosts of chat know it too."""


class Dialect:
    """Fields that a host refuses, and how it calls the bound on generated tokens.

    Parameters
    ----------
    omitted
        Fields that are never sent.
    """

    def __init__(self, omitted: frozenset[str] = frozenset()) -> None:
        self._omitted = omitted
        self._limit: str | None = None
        self._takes_marks = True

    def said(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return `body` as the host is known to take it."""
        said = {name: value for name, value in body.items() if name not in self._omitted}
        if not self._takes_marks:
            said = {name: _unmarked(value) for name, value in said.items()}
        return self._renamed(said, self._limit)

    def after(self, status: int, refusal: bytes, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return `body` in other words, where a refusal names the field that it would not take.

        What is learned holds from here on: nobody asks for these fields for their own sake.
        """
        if status not in _REFUSALS:
            return None
        if "stream_options" in body and b"stream_options" in refusal:
            self._omitted |= {"stream_options"}
            return self.said(body)
        if _MARK.encode() in refusal and self._takes_marks:
            self._takes_marks = False
            return self.said(body)
        if b"max_completion_tokens" in refusal and self._limit is None:
            used = next((name for name in _LIMITS if name in body), None)
            if used is not None:
                self._limit = _LIMITS[1 - _LIMITS.index(used)]
                return self.said(body)
        return None

    @staticmethod
    def _renamed(body: dict[str, Any], limit: str | None) -> dict[str, Any]:
        for name in _LIMITS:
            if limit is not None and name in body and name != limit:
                body[limit] = body.pop(name)
        return body


def _unmarked(value: Any) -> Any:
    """Return JSON values without marks of prompt caches."""
    if isinstance(value, list | tuple):
        return [_unmarked(each) for each in value]
    if isinstance(value, Mapping):
        return {name: _unmarked(each) for name, each in value.items() if name != _MARK}
    return value
