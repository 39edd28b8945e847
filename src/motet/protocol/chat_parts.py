"""Parts of chat messages, as several protocols read and write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from motet.protocol.reading import object_at, present, text_at

_PLAIN = {"type", "text"}


def plain(parts: Sequence[Mapping[str, Any]]) -> Any:
    """Return the content that parts are: a text where it is one part of nothing but text.

    So the same conversation is the same request, whichever protocol it came by.
    """
    if not parts:
        return ""
    if len(parts) == 1 and parts[0]["type"] == "text" and parts[0].keys() <= _PLAIN:
        return parts[0]["text"]
    return list(parts)


def data_url(source: Mapping[str, Any]) -> str:
    """Return the URL that holds data itself, of a `media_type` and base64 `data` (RFC 2397)."""
    return f"data:{source['media_type']};base64,{source['data']}"


def file_of(value: Any, at: str) -> Mapping[str, Any]:
    """Return the fields of a file, whose name and content are text where they are there."""
    file = present(object_at(value, at))
    for name in ("filename", "file_data"):
        if name in file:
            text_at(file[name], f"{at}.{name}")
    return file
