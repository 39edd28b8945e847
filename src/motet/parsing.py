"""JSON that others send, as plain values that can be written again.

What can be read and not written would fail far from where it came in: deep nesting, half a
character, a number that JSON does not have.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

MOST_LEVELS = 200
"""Deepest nesting that is let in. orjson reads 1024 levels and writes 254, and a body or an answer
gets a few around it on its way on."""
_LEAST_LOGPROB = -9999.0


def parsed(content: bytes) -> Any:
    """Return the values of JSON.

    Raises
    ------
    ValueError
        It is not JSON, or is nested too deep.
    """
    values = orjson.loads(content)
    # Counting brackets is fast, and few bodies have so many that a look at each is needed.
    if content.count(b"[") + content.count(b"{") > MOST_LEVELS and _levels(values) > MOST_LEVELS:
        raise ValueError(f"it is nested more than {MOST_LEVELS} levels deep")
    return values


def parsed_leniently(content: bytes) -> Any:
    """Return the values of JSON, or of what Python's and JavaScript's writers make of it.

    An infinite number becomes null, minus infinity the log-probability that OpenAI writes in its
    place. Halves of characters stay: whoever joins pieces may have the other half.

    Raises
    ------
    ValueError
        It is not JSON even so, or is nested too deep.
    """
    try:
        return parsed(content)
    except orjson.JSONDecodeError:
        pass
    try:
        values = json.loads(
            content, parse_constant=_constant, parse_float=_finite, parse_int=_writable
        )
    except RecursionError:
        raise ValueError(f"it is nested more than {MOST_LEVELS} levels deep") from None
    if _levels(values) > MOST_LEVELS:
        raise ValueError(f"it is nested more than {MOST_LEVELS} levels deep")
    return values


def whole_characters(value: Any) -> Any:
    """Return a value with every half of a character in it replaced by U+FFFD."""
    if isinstance(value, str):
        # Two halves side by side are one character; a lone one is none.
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [whole_characters(item) for item in value]
    if isinstance(value, dict):
        return {whole_characters(key): whole_characters(item) for key, item in value.items()}
    return value


def _levels(values: Any) -> int:
    """Return how deep a value is nested; not by recursion, which has an end of its own."""
    depth, layer = 0, [values]
    while layer:
        depth += 1
        layer = [
            item
            for value in layer
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
            if isinstance(item, dict | list)
        ]
        if depth > MOST_LEVELS:
            break
    return depth


def _constant(name: str) -> float | None:
    return _LEAST_LOGPROB if name == "-Infinity" else None


def _finite(text: str) -> float | None:
    value = float(text)
    return value if abs(value) != float("inf") else _constant(f"{text[:1]}Infinity")


def _writable(text: str) -> int | float | None:
    """Return an integer; as a float, as orjson reads it, where it has more than 64 bits."""
    return int(text) if len(text) < 19 else _finite(text)
