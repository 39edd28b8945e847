"""A conversation as one text, for experts that judge it: they are not to answer it."""

from __future__ import annotations

from collections.abc import Sequence

from motet.encoders.text import clip
from motet.types import Message, Request, message_texts

_MESSAGES = 12
_CHARS = 2000
"""Characters of each message; its beginning and its end."""


def transcript(messages: Sequence[Message]) -> str:
    """Return the first message and the newest ones, each cut, with who wrote them."""
    newest = list(messages[-_MESSAGES:])
    first = [] if len(newest) == len(messages) else [messages[0]]
    return "\n\n".join(map(_shown, first + newest))


def asked_of(judge: str, question: str, request: Request, max_tokens: int) -> Request:
    """Return what a judge of `request` is asked, which is not part of its conversation."""
    return Request(
        model=judge,
        messages=({"role": "user", "content": question},),
        max_tokens=max_tokens,
        temperature=0.0,
        caller=request.caller,
    )


def _shown(message: Message) -> str:
    calls = [str(call.get("function") or call) for call in message.get("tool_calls") or ()]
    said = "\n".join([*message_texts(message), *calls])
    return f"[{message.get('role')}]\n{clip(said, _CHARS)}"
