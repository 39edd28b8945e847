"""What a rule can see of a request. The names, types and meanings here are the rule language.

Every value is bounded, which bounds the time a rule can take: text is cut to its first and last
32 Ki characters, lists and maps to 64 items of 512 characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import islice
from typing import Any

from motet.conditions.language import language
from motet.conversation.agents import progress
from motet.conversation.threads import newest
from motet.types import Capability, Request, message_texts

LIST_LIMIT = 64
LISTS = frozenset({"fences", "metadata", "tools"})
"""Features that macros go through."""
REMEMBERED = frozenset({"context_used", "last_expert"})
"""Features of the turns before, which a service remembers for the compositions that read them."""
_TEXT_LIMIT = 64 * 1024
_ITEM_LIMIT = 512
_SHAPE_LIMIT = 16 * 1024
"""Characters in which languages and wishes are looked for: reading those takes longest."""
_FENCE = re.compile(r"```([\w+#.-]*)")
_CODE = re.compile(
    r"```|^[^\S\n]*(?:def |class |import |from \w+ import |#include|public |func |fn |SELECT )"
    r"|[;{}]\s*$",
    re.MULTILINE,
)
_CODE_SIGNS = tuple("```|;|{|}|def |class |import |#include|public |func |fn |SELECT ".split("|"))
"""One of these stands in whatever `_CODE` finds; to look for them takes a tenth of its time."""
# Something to be made up, and a verb that asks for it close before: "write a poem", but neither
# "write a regular expression" nor "which story did Kafka write".
_GENERATIVE = re.compile(
    r"\b(?:writ|compos|draft|creat|invent|imagin|mak|com|tell|giv|suggest|brainstorm|think)\w*\b"
    r"[^.?!\n]{0,60}?\b(?:stor(?:y|ies)|tales?|poems?|haikus?|limericks?|sonnets?|songs?|lyrics|"
    r"slogans?|taglines?|e-?mails?|letter|essays?|speech(?:es)?|dialogues?|jokes?|toasts?|"
    r"blogs?|posts?|tweets?|captions?|scripts?|scenes?|advert\w*|invitations?|greetings?|"
    r"monologues?|diar(?:y|ies)|riddles?|ideas|reviews?)\b"
    r"|\b(?:role-?play|pretend (?:to be|you)|act as|in the style of|brainstorm)\b",
    re.IGNORECASE,
)


def _text(request: Request) -> str:
    return _cut(request.text)


def _last(request: Request) -> str:
    if request.prompt is not None or not request.messages:
        return _text(request)
    return _cut("\n".join(message_texts(request.messages[-1])))


def _asked(request: Request) -> str:
    users = [message for message in request.messages if message.get("role") == "user"]
    turns = ["\n".join(message_texts(message)) for message in users]
    head = newest(turns).head if turns else None
    return _last(request) if head is None else _cut(f"{turns[head]}\n{turns[-1]}")


def _system(request: Request) -> str:
    roles = ("system", "developer")
    messages = (m for m in request.messages if m.get("role") in roles)
    return _cut("\n".join(text for message in messages for text in message_texts(message)))


def _has_code(request: Request) -> bool:
    text = _text(request)
    for sign in _CODE_SIGNS:
        if sign in text:
            return _CODE.search(text) is not None
    return False


def _fences(request: Request) -> list[str]:
    fences = dict.fromkeys(name.lower() for name in _FENCE.findall(_text(request)) if name)
    return _items(fences)


def _tools(request: Request) -> list[str]:
    return _items(str(tool.get("function", {}).get("name", "")) for tool in request.tools)


def _items(texts: Iterable[str]) -> list[str]:
    return [_cut(text, _ITEM_LIMIT) for text in islice(texts, LIST_LIMIT)]


def _metadata(request: Request) -> dict[str, str]:
    return dict(zip(_items(request.metadata), _items(request.metadata.values()), strict=True))


def _user_turns(request: Request) -> int:
    return sum(message.get("role") == "user" for message in request.messages)


def _context_used(request: Request) -> float:
    window = request.past.context
    return request.estimated_tokens / window if window else 0.0


FEATURES: dict[str, tuple[Callable[[Request], Any], str]] = {
    "text": (_text, "string: every text part of the request, newest last"),
    "last": (_last, "string: the text of the last message"),
    "asked": (
        _asked,
        "string: the same, behind the question that it goes on with, as in `and in feet?`",
    ),
    "system": (_system, "string: the text of system and developer messages"),
    "chars": (lambda request: len(request.text), "int: characters of text"),
    "tokens": (lambda request: request.estimated_tokens, "int: estimated prompt tokens"),
    "max_tokens": (lambda request: request.max_tokens or 0, "int: tokens asked for; 0 when unset"),
    "turns": (lambda request: len(request.messages), "int: messages in the chat"),
    "language": (
        language,
        "string: ISO 639-1 code of the last message's language; of the conversation's where that "
        "is too short to tell, and `en` where nothing tells",
    ),
    "has_code": (_has_code, "bool: contains code"),
    "fences": (_fences, "list of string: languages of fenced code blocks, lower case"),
    "generative": (
        lambda request: bool(_GENERATIVE.search(_cut(_last(request), _SHAPE_LIMIT))),
        "bool: asks for something to be written or made up, such as a story or an email",
    ),
    "has_tools": (lambda request: Capability.TOOLS in request.needs, "bool: may call tools"),
    "tools": (_tools, "list of string: names of the tools offered"),
    "has_images": (lambda request: Capability.VISION in request.needs, "bool: contains an image"),
    "has_audio": (lambda request: Capability.AUDIO in request.needs, "bool: contains a recording"),
    "has_files": (lambda request: Capability.FILES in request.needs, "bool: contains a file"),
    "wants_json": (
        lambda request: Capability.JSON_SCHEMA in request.needs,
        "bool: asks for JSON or a JSON schema",
    ),
    "stream": (lambda request: request.stream, "bool: the answer is streamed"),
    "model": (lambda request: request.model, "string: the name the client asked for"),
    "user": (
        lambda request: _cut(request.user or "", _ITEM_LIMIT),
        "string: the client's user field",
    ),
    "tenant": (lambda request: request.caller.tenant, "string: whom the caller's key belongs to"),
    "user_turns": (_user_turns, "int: messages of the user so far"),
    "tool_calls": (lambda request: progress(request).calls, "int: tool calls so far"),
    "tool_errors": (
        lambda request: progress(request).errors,
        "int: results of tools that tell of an error, so far",
    ),
    "tool_errors_in_a_row": (
        lambda request: progress(request).errors_in_a_row,
        "int: those since the last result that tells of none",
    ),
    "repeated_calls": (
        lambda request: progress(request).repeated,
        "int: tool calls that ask the same as one before",
    ),
    "stalled_turns": (
        lambda request: progress(request).stalled,
        "int: turns since the last whose calls were new and did not all fail",
    ),
    "subagent": (
        lambda request: _cut(request.subagent, _ITEM_LIMIT),
        "string: the kind of sub-agent that asks, where its client says so: the headers "
        "`x-motet-subagent` and `x-openai-subagent`, or `metadata.subagent`",
    ),
    "last_expert": (
        lambda request: request.past.expert,
        "string: who answered the conversation's last turn; empty in a new one",
    ),
    "context_used": (
        _context_used,
        "double: share of the last expert's context that the prompt takes, by estimate; of the "
        "largest context in a new conversation",
    ),
    "metadata": (_metadata, "map of string to string: metadata"),
}
"""Variables of the rule language: name -> (how it is read, type and meaning)."""


def mentions(request: Request, words: list[str]) -> bool:
    """Return whether the request's text holds one of `words` whole; a function of the rules."""
    if not words:
        raise ValueError("mentions([]) names no word; it would be true of every text")
    text, sought = _text(request), tuple(words[:LIST_LIMIT])
    if text.isascii() and not _are_in(text.lower(), sought):
        return False
    return _words(sought).search(text) is not None


def _are_in(lowered: str, words: tuple[str, ...]) -> bool:
    """Return whether one of `words` may be in an ASCII text: far sooner told than where."""
    return any(not word.isascii() or word.lower() in lowered for word in words)


@lru_cache(maxsize=256)
def _words(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(
        rf"(?<!\w)(?:{'|'.join(re.escape(word) for word in words)})(?!\w)", re.IGNORECASE
    )


def _cut(text: str, limit: int = _TEXT_LIMIT) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n{text[-half:]}"
