"""The text form of a request: the one string that encoders and text features read.

A prompt, or a chat of one user message, is its own text, as in a routing table's `query`. Of a
longer chat it is the newest user message; where that goes on with a question before it ("and for
five boxes?"), this question comes first, cut short, since encoders read the beginning. System
messages and answers are left out: they say how to answer and what was answered, not what is asked.
A text over the bound keeps its beginning and its end, where questions stand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import PositiveInt

from motet.config import Options
from motet.conversation.threads import Newest, newest
from motet.types import Message, Request, message_texts

_CUT = "\n[...]\n"
_EARLIER = 500
"""Characters kept of each message before the newest."""
_AGENT_BLOCKS = re.compile(
    r"<(?P<tag>system-reminder|environment_details|environment_context|user_instructions|"
    r"additional_data|attached_files|open_and_recently_viewed_files|git_status|command-message|"
    r"command-name|local-command-stdout|tool_result|function_results)\b[^<>]*>"
    r".*?(?:</(?P=tag)>|\Z)",
    re.DOTALL,
)
_AGENT_WRAPPERS = re.compile(r"</?(?:user_query|task|feedback|answer|command-args)>")


class TextConfig(Options):
    """How a request becomes the text that a learned router reads."""

    strip_agents: bool = True
    """Drop what coding agents add: tagged blocks of reminders, environment and tool results."""
    system: bool = False
    """Whether the system message is part of the text."""
    chat: Literal["thread", "whole", "last"] = "thread"
    """What is read of the user's messages: the newest, with the question that it goes on with where
    it does not speak for itself (`thread`); all (`whole`); or the newest alone (`last`)."""
    max_chars: PositiveInt = 8000
    """Longest text; a longer one keeps its beginning and its end."""


def text_form(request: Request, config: TextConfig | None = None) -> str:
    """Return the text that stands for `request`, at most `config.max_chars` characters."""
    config = config or TextConfig()
    turns = asked(request, config)
    return form(request, turns, newest(turns) if config.chat == "thread" else Newest(), config)


def asked(request: Request, config: TextConfig) -> list[str]:
    """Return what the user said, oldest first: at least one text, which may be empty."""
    if request.prompt is not None:
        return [request.prompt]
    said = [text for m in request.messages if m["role"] == "user" if (text := _said(m, config))]
    if not said:  # a chat that only a system message or a tool's result began
        texts = ["\n".join(message_texts(m)) for m in reversed(request.messages)]
        said = ["\n".join(filter(None, texts))]  # one turn, the newest first
    return said


def form(request: Request, turns: Sequence[str], of: Newest, config: TextConfig) -> str:
    """Return the text that stands for `request`, whose turns are `asked`.

    Parameters
    ----------
    of
        What the newest turn goes on with; read where `config.chat` is `thread`.
    """
    if request.prompt is not None:
        return clip(request.prompt, config.max_chars)
    *earlier, last = turns
    if of.head is not None:  # what was asked says more of what is asked than "and in feet?" does
        last, earlier = clip(turns[of.head], _EARLIER), [clip(last, config.max_chars)]
    elif config.chat == "whole":
        earlier = [clip(text, _EARLIER) for text in reversed(earlier)]
    else:
        earlier = []
    if config.system:
        earlier += [t for m in request.messages if _is_system(m) for t in message_texts(m)]
    head = clip(last, config.max_chars)
    rest = "\n".join(earlier)[: max(config.max_chars - len(head) - 1, 0)]
    return f"{head}\n{rest}" if rest else head


def clip(text: str, limit: int) -> str:
    """Return `text`, or its first two thirds and last third of `limit` characters."""
    if len(text) <= limit:
        return text
    room = limit - len(_CUT)
    if room < 3:
        return text[:limit]
    tail = room // 3
    return f"{text[: room - tail]}{_CUT}{text[-tail:]}"


def strip_agents(text: str) -> str:
    """Return `text` without the blocks that coding agents put around what the user said."""
    return _AGENT_WRAPPERS.sub("", _AGENT_BLOCKS.sub("", text)).strip()


def _said(message: Message, config: TextConfig) -> str:
    text = "\n".join(message_texts(message))
    return strip_agents(text) if config.strip_agents else text


def _is_system(message: Mapping[str, object]) -> bool:
    return message["role"] in ("system", "developer")
