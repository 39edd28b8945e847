"""URLs that a config names."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator


def _parses(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port  # reading it checks it
    except ValueError as error:
        raise ValueError(f"this is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError("expected a URL such as https://host/v1")
    if any(character.isspace() for character in url):
        raise ValueError("a URL holds no spaces")
    return url


Url = Annotated[str, AfterValidator(_parses)]
"""Where a host answers over HTTP."""
