"""Which of OpenAI's fields a host takes: told by the config, or learned from its refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_REFUSALS = frozenset({400, 422})
_LIMITS = ("max_tokens", "max_completion_tokens")


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

    def said(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return `body` as the host is known to take it."""
        return self._renamed(
            {name: value for name, value in body.items() if name not in self._omitted}, self._limit
        )

    def after(self, status: int, refusal: bytes, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return `body` in other words, where a refusal names the field that it would not take.

        What is learned holds from here on: nobody asks for these fields for their own sake.
        """
        if status not in _REFUSALS:
            return None
        if "stream_options" in body and b"stream_options" in refusal:
            self._omitted |= {"stream_options"}
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
