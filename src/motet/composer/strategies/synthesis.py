"""Asking an expert to make one answer of several drafts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from motet.types import Message, Request

SYNTHESIS = """\
{drafts}

These are {count} answers to the request above, and some may be wrong. Give the one right answer, \
in the form that the request asks for, and nothing else."""


def synthesis(request: Request, texts: Sequence[str], ask: str = SYNTHESIS) -> Request:
    """Return the request that asks for one answer from drafts: they follow the last question.

    Parameters
    ----------
    ask
        What is asked of them, with `{drafts}` and `{count}` in it.
    """
    listed = "\n\n".join(f"Answer {n}: {text}" for n, text in enumerate(texts, start=1))
    told = ask.format(drafts=listed, count=len(texts))
    messages: list[Message] = list(request.messages)
    last = next(n for n in reversed(range(len(messages))) if _is_from_user(messages, n))
    content: Any = messages[last].get("content") or ""
    if isinstance(content, str):
        content = f"{content}\n\n{told}"
    else:
        content = [*content, {"type": "text", "text": told}]
    messages[last] = {**messages[last], "content": content}
    return replace(request, messages=tuple(messages))


def _is_from_user(messages: Sequence[Message], number: int) -> bool:
    return messages[number].get("role") == "user" or number == 0
