"""Screens: a prompt is judged before anybody is asked, an answer before it goes out.

What a screen asks is in the request's trace under the purpose `screen`, and in its usage and cost.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from motet.composer.calls import Calls
from motet.errors import ContentFiltered, RequestError
from motet.types import Chunk, Message, Request, Verdict, message_texts

_PART = 4000
"""Characters of a prompt that are judged as one text; longer ones overlap by a tenth."""
_DATA = re.compile(r"(data:[\w/+.;=-]*,)?[A-Za-z0-9+/]{200,}=*")
_LABELS, _LABEL = frozenset({"role", "type", "id", "tool_call_id"}), re.compile(r"[\w.:-]{0,128}")
"""Fields of one word that says what something is, and nothing to a model."""


class Judges(Protocol):
    """Who judges."""

    name: str

    async def screen(self, texts: Sequence[str], request: Request, calls: Calls) -> list[Verdict]:
        """Return a verdict on each text."""


@dataclass(frozen=True, slots=True)
class ContentScreen:
    """What judges the prompts and the answers of a composition.

    Attributes
    ----------
    before, after
        Who judges prompts and answers; None where nobody does.
    window
        Characters of an answer that are held back; None for all of it.
    """

    before: Judges | None
    after: Judges | None
    window: int | None

    async def prompt(self, request: Request, calls: Calls) -> None:
        """Judge every text of a prompt, whoever is said to have written it.

        Raises
        ------
        ContentFiltered
            One is flagged.
        RequestError
            It is token ids, which nobody can judge.
        """
        if self.before is None:
            return
        if request.prompt_ids or (request.texts is not None and request.texts.token_ids):
            field = "prompt" if request.texts is None else "input"
            raise RequestError(
                f"{field}: token ids cannot be judged, and this composition judges its prompts.",
                hint="Send the text.",
                param=field,
            )
        if texts := list(_texts(request)):
            await _refuse(self.before, texts, request, calls, "The prompt is refused")

    async def answer(
        self, chunks: AsyncGenerator[Chunk, None], request: Request, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Send on chunks once what they say is judged.

        Raises
        ------
        ContentFiltered
            It is flagged; what was sent before is out.
        """
        held: list[Chunk] = []
        said: dict[int, str] = {}
        fresh = 0
        async with aclosing(chunks):
            async for chunk in chunks:
                held.append(chunk)
                if words := _words(chunk):
                    said[chunk.index] = said.get(chunk.index, "") + words
                    fresh += len(words)
                if self.window is not None and fresh >= self.window:
                    await self._judge(said, request, calls)
                    # What is out is context for the next window, and no more of it.
                    said = {index: text[-self.window :] for index, text in said.items()}
                    for each in held:
                        yield each
                    held, fresh = [], 0
        if fresh:
            await self._judge(said, request, calls)
        for each in held:
            yield each

    async def _judge(self, said: dict[int, str], request: Request, calls: Calls) -> None:
        assert self.after is not None, "answers are judged by somebody"
        texts = [part for text in said.values() for part in _parts(text)]
        await _refuse(self.after, texts, request, calls, "The answer is withheld")


async def _refuse(
    judge: Judges, texts: Sequence[str], request: Request, calls: Calls, what: str
) -> None:
    for verdict in await judge.screen(texts, request, calls):
        if verdict.flagged:
            raise ContentFiltered(what, judge.name, verdict.categories)


def _texts(request: Request) -> Iterator[str]:
    for text in (request.prompt or "", "" if request.texts is None else request.texts.text):
        yield from _parts(text)
    # What no message says reaches an expert all the same, and so it is read.
    native = tuple(request.native.values())
    for beside in (request.tools, request.response_format, request.extra, native):
        yield from _parts("\n".join(_strings(beside)))
    for message in request.messages:
        for text in message_texts(message):
            yield from _parts(text)
        yield from _parts("\n".join(_beside(message)))


def _beside(message: Message) -> Iterator[str]:
    """Yield all that a message says beside its plain text: calls, thoughts, parts of any kind."""
    yield from _strings({name: each for name, each in message.items() if name != "content"})
    content = message.get("content")
    for part in content if isinstance(content, list | tuple) else ():
        is_text = part.get("type") == "text"  # which is read already
        yield from _strings({k: v for k, v in part.items() if not (is_text and k == "text")})


def _strings(value: Any) -> Iterator[str]:
    """Yield the texts in a value, names of fields among them; not the data of images and files."""
    if isinstance(value, str):
        if not _DATA.fullmatch(value):
            yield value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            if not (name in _LABELS and isinstance(each, str) and _LABEL.fullmatch(each)):
                yield str(name)
                yield from _strings(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _strings(each)


def _words(chunk: Chunk) -> str:
    """Return all that a client would read of a chunk."""
    called = "".join(_arguments(call) for call in chunk.tool_calls)
    more = orjson.dumps(chunk.message_extra, default=str).decode() if chunk.message_extra else ""
    return f"{chunk.reasoning}{chunk.text}{called}{more}"


def _arguments(call: Mapping[str, Any]) -> str:
    """Return what a piece of a tool call says, of a function or of a tool of the client's own."""
    of = call.get("function") or call.get("custom") or {}
    return "".join(str(of.get(name) or "") for name in ("name", "arguments", "input"))


def _parts(text: str) -> Iterator[str]:
    """Yield a text in parts that overlap, so that nothing is hidden in its length or at a cut."""
    step = _PART - _PART // 10
    for at in range(0, max(len(text) - _PART // 10, 1), step):
        if part := text[at : at + _PART]:
            yield part
