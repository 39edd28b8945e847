"""Our own types as JSON and back: one way for all of them, wherever they are kept or sent.

Reading checks: JSON that is no such value raises pydantic's `ValidationError`.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


def dump(value: Any) -> bytes:
    """Return a frozen value of `motet.types`, or of dataclasses like them, as JSON."""
    return _adapter(type(value)).dump_json(value)


def load(kind: type[T], content: bytes) -> T:
    """Return the `kind` that `dump` wrote."""
    value: T = _adapter(kind).validate_json(content)
    return value


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:  # making one takes milliseconds, and the kinds are few
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
