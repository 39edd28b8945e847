"""Headers of HTTP that a config adds to what Motet sends."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, SecretStr

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset({"host", "content-length", "content-type", "accept-encoding", "connection"})


def _trimmed(secret: SecretStr) -> SecretStr:
    """Return a value that a header can hold; files of secrets end in a line break."""
    value = secret.get_secret_value().strip()
    if not value.isascii() or not value.isprintable():
        raise ValueError("has a character that no HTTP header can hold")
    return SecretStr(value)


def _named(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name in headers:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of an HTTP header")
        if name.lower() in _OURS:
            raise ValueError(f"{name!r} is set by Motet itself")
    return headers


HeaderValue = Annotated[SecretStr, AfterValidator(_trimmed)]
Headers = Annotated[dict[str, HeaderValue], AfterValidator(_named)]
