"""Which conversation a request goes on with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from motet.errors import RequestError
from motet.types import Request
from motet.wording import shown

MOST_CHARS = 256
"""Characters of a name that a client may give."""
_SYSTEM = ("system", "developer")


def identity(request: Request) -> str:
    """Return a hash that the turns of one conversation share, and those of no other caller.

    A conversation is of one caller with one composition. It is known by the client's own name of
    it, else by how it opens: its system messages and the user's first. Of those that open alike the
    newest is meant.
    """
    caller = request.caller
    known = ["session", request.session] if request.session else ["opening", *_opening(request)]
    said = json.dumps([request.model, caller.key, caller.tenant, *known], sort_keys=True)
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()


def answered_at(request: Request) -> int:
    """Return how many messages stand before the last answer: those of the request that got it."""
    roles = [message.get("role") for message in request.messages]
    return len(roles) - 1 - roles[::-1].index("assistant") if "assistant" in roles else 0


def checked_name(value: str, field: str) -> str:
    """Return a name that a client gives.

    Raises
    ------
    RequestError
        It is too long, or holds what cannot be printed.
    """
    if len(value) > MOST_CHARS or not value.isprintable():
        raise RequestError(
            f"{field}: expected up to {MOST_CHARS} printable characters. Got {shown(value)}.",
            param=field,
        )
    return value


def name_in(fields: Mapping[str, Any], *names: str) -> str:
    """Return the first of some fields of a client's that is a name; empty where none is.

    Fields that mean something else to others are no fault of the client's, so what does not fit is
    passed over.
    """
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and 0 < len(value) <= MOST_CHARS and value.isprintable():
            return value
    return ""


def _opening(request: Request) -> list[Any]:
    """Return what a chat opens with, as JSON values."""
    if request.prompt is not None:
        return [request.prompt, *request.prompt_ids]
    system = [m.get("content") for m in request.messages if m.get("role") in _SYSTEM]
    first = [m.get("content") for m in request.messages if m.get("role") == "user"][:1]
    return [system, first]
