"""Asking an expert to make one answer of several drafts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from motet.composer.calls import Calls, Draft
from motet.composer.relay import relay
from motet.errors import BudgetExceeded, ContextLengthExceeded, ExpertError, NoExpertAvailable
from motet.types import Chunk, Message, Request

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


async def fused(
    request: Request, drafts: Sequence[Draft], writer: str, calls: Calls, *, first_chunk_s: float
) -> AsyncGenerator[Chunk, None]:
    """Send on what `writer` makes of drafts, else what the first draft's author makes of them.

    Where neither begins, the first draft itself is the answer.
    """
    asked = synthesis(request, [draft.text for draft in drafts])
    turns = [(expert, asked) for expert in dict.fromkeys([writer, drafts[0].expert])]
    begun = False
    try:
        async with aclosing(relay(turns, calls, first_chunk_s=first_chunk_s)) as answer:
            async for chunk in answer:
                begun = True
                yield chunk
        return
    except (ExpertError, ContextLengthExceeded, NoExpertAvailable, BudgetExceeded):
        if begun:
            raise
    for chunk in sent(drafts[0], calls, request.n):
        yield chunk


def sent(draft: Draft, calls: Calls, choices: int = 1) -> Iterator[Chunk]:
    """Yield a draft as the answer, once for each choice."""
    calls.lead(draft.expert)
    for index in range(choices):
        yield Chunk(index, draft.text, finish=draft.finish)


def _is_from_user(messages: Sequence[Message], number: int) -> bool:
    return messages[number].get("role") == "user" or number == 0
