"""What is taken out of prompts and answers before they are kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import regex

from motet.config import Store
from motet.config.redactors import REDACTORS

log = logging.getLogger(__name__)

MARK = "[redacted]"
_LONGEST = 65_536
"""Characters that are kept of one text."""
_PATIENCE_S = 0.25
"""Seconds that patterns may search one value: what clients write can make some search for ever."""
_REST_S = 10.0
"""Seconds without texts after such a search, so that records do not fall behind for others."""


class Redaction:
    """Takes out what the config names.

    Raises
    ------
    ConfigError
        The hook cannot be loaded.
    """

    def __init__(self, settings: Store, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._hook = None if settings.redactor is None else REDACTORS.load(settings.redactor)
        self._patterns = [regex.compile(pattern) for pattern in settings.redact]
        self._has_failed = False
        self._rests_until = 0.0

    def of(self, value: Any) -> Any:
        """Return a text, or values of JSON with texts in them, as they may be kept.

        None in the place of all of it where a text of it cannot be redacted.
        """
        now = self._now()
        if now < self._rests_until:
            return None
        try:
            return self._redacted(value, now + _PATIENCE_S)
        except Exception as error:
            # The edge to hooks that are not ours, and to patterns that take too long.
            if not self._has_failed:
                log.exception("a text cannot be redacted, and is not kept")
            self._has_failed = True
            if isinstance(error, TimeoutError):
                self._rests_until = self._now() + _REST_S
            return None

    def _redacted(self, value: Any, until: float) -> Any:
        if isinstance(value, str):
            return self._text(value, until)
        if isinstance(value, list | tuple):
            return [self._redacted(item, until) for item in value]
        if isinstance(value, dict):
            return {name: self._redacted(item, until) for name, item in value.items()}
        return value

    def _text(self, text: str, until: float) -> str:
        if self._hook is not None:
            text = str(self._hook(text))
        for pattern in self._patterns:
            # Without the interpreter's lock, so that answers go on meanwhile.
            left = max(until - self._now(), 0.001)
            text = pattern.sub(MARK, text, timeout=left, concurrent=True)
        return text[:_LONGEST]
