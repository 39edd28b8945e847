"""The answer of an expert: values of its JSON, in whatever form, as chunks or as its error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from motet.experts.wire.base import AnswerReader, kind_of
from motet.experts.wire.failure import failure_in, told
from motet.parsing import whole_characters
from motet.types import Chunk, Usage

_ANSWER = frozenset({"id", "object", "created", "model", "choices", "usage", "error"})
_CHOICE = frozenset(
    {"index", "delta", "message", "text", "logprobs", "finish_reason", "error", "usage"}
)
_MESSAGE = frozenset({"role", "content", "reasoning_content", "reasoning", "tool_calls"})
_MOST_CHOICES = 128
_MOST_TOKENS = 2**53
_HIGH_HALVES = ("\ud800", "\udbff")

_THOUGHTS = frozenset({"thinking_blocks", "reasoning_items"})
"""Where hosts of chat put thoughts in the forms of other protocols, which are read there."""


class Reader(AnswerReader):
    """Reads one answer of chat or completions, whole or event by event.

    Lenient where the meaning is clear (a number written as text, `content` in parts, tool arguments
    as an object), and where it is not the expert has failed. It keeps what only the next event
    completes: half a character, which tool call a fragment belongs to, who has finished.

    Parameters
    ----------
    expert
        Whose answer it is, for errors.
    """

    def __init__(self, expert: str) -> None:
        super().__init__(expert)
        self._unfinished: set[int] = set()
        self._finished: set[int] = set()
        self._halves: dict[tuple[int, str], str] = {}
        self._calls: dict[int, list[str]] = {}

    @property
    def complete(self) -> bool:
        """Whether every choice that was begun has said why it ended."""
        return bool(self._finished) and not self._unfinished

    def read(self, payload: Any) -> list[Chunk]:
        """Return the chunks of what the JSON of a body or an event holds, chat or completion.

        Raises
        ------
        MotetError
            It says that the expert has failed, or is nothing of the form.
        """
        if isinstance(payload, list) and len(payload) == 1:
            payload = payload[0]  # how Gemini's compatible endpoint writes errors
        if not isinstance(payload, dict):
            raise self.odd(f"sent {kind_of(payload)} where an object belongs")
        if failure := failure_in(payload, self.expert):
            raise failure
        choices = payload.get("choices")
        if choices is None:
            choices = ()
        elif not isinstance(choices, list):
            raise self.odd(f"sent choices as {kind_of(choices)}")
        chunks: list[Chunk] = []
        taken: set[int] = set()
        for position, choice in enumerate(choices):
            if not isinstance(choice, dict):
                raise self.odd(f"sent {kind_of(choice)} as a choice")
            if error := choice.get("error"):
                raise told(error, self.expert)
            index = _index(choice.get("index"), position, taken)
            taken.add(index)
            chunks.append(self._chunk(index, choice))
        if beside := rest_of(payload, _ANSWER):
            first = chunks[0] if chunks else Chunk()
            chunks[:1] = [replace(first, answer_extra=beside)]
        if usage := usage_of(payload.get("usage")):
            chunks.append(Chunk(usage=usage))
        return chunks

    def _chunk(self, index: int, choice: Mapping[str, Any]) -> Chunk:
        part = choice.get("message")
        whole = part is not None
        if not whole:
            part = choice.get("delta")
        if part is None:
            part = {}
        elif not isinstance(part, dict):
            raise self.odd(f"sent a message as {kind_of(part)}")
        finish = choice.get("finish_reason")
        finish = finish if finish and isinstance(finish, str) else None
        self._note(index, finish)
        content = part.get("content")
        if isinstance(content, str) and len(part) == 1 and choice.keys() <= _CHOICE:
            # What nearly every event is: words alone, and the way of each counts.
            text, logprobs = self._joined(index, "text", content, finish), choice.get("logprobs")
            return Chunk(index, text, logprobs=_object(logprobs), finish=finish)
        text, reasoning, others = self._content(choice.get("text") if content is None else content)
        reasoning += _plain(part.get("reasoning_content")) or _plain(part.get("reasoning"))
        extra = rest_of(part, _MESSAGE)
        for name in _THOUGHTS & extra.keys():
            thoughts = extra[name] if isinstance(extra[name], list) else []
            extra[name] = [each for each in thoughts if isinstance(each, dict)]
        if others:
            extra["content_parts"] = others
        return Chunk(
            index=index,
            text=self._joined(index, "text", text, finish),
            reasoning=self._joined(index, "reasoning", reasoning, finish),
            tool_calls=self._tool_calls(index, part.get("tool_calls"), whole),
            logprobs=_object(choice.get("logprobs")),
            finish=finish,
            message_extra=extra,
            choice_extra=rest_of(choice, _CHOICE),
        )

    def _note(self, index: int, finish: str | None) -> None:
        """Note that a choice goes on, or why it has ended."""
        if finish:
            self._unfinished.discard(index)
            self._finished.add(index)
        else:
            self._unfinished.add(index)

    def _content(self, content: Any) -> tuple[str, str, list[Any]]:
        """Return the words, the thoughts and the other parts of a message's content."""
        if content is None or isinstance(content, str):
            return content or "", "", []
        parts = [content] if isinstance(content, dict) else content
        if not isinstance(parts, list):
            raise self.odd(f"sent content as {kind_of(content)}")
        text, thoughts, others = "", "", []
        for part in parts:
            kind = part.get("type", "text") if isinstance(part, dict) else None
            if isinstance(part, str):
                text += part
            elif kind in ("thinking", "reasoning"):
                thoughts += _plain(part)
            elif kind in ("text", "output_text") and isinstance(part.get("text"), str):
                text += part["text"]
            elif isinstance(kind, str) and "type" in part:
                others.append(part)
            else:
                raise self.odd(f"sent {kind_of(part)} as a part of its content")
        return text, thoughts, others

    def _tool_calls(self, index: int, calls: Any, whole: bool) -> tuple[Mapping[str, Any], ...]:
        """Return tool calls, or fragments of them, each with the index that tells it apart."""
        if not calls:
            return ()
        calls = [calls] if isinstance(calls, dict) else calls
        if not isinstance(calls, list):
            raise self.odd(f"sent tool calls as {kind_of(calls)}")
        known = self._calls.setdefault(index, [])
        sent = []
        for position, call in enumerate(calls):
            if not isinstance(call, dict):
                raise self.odd(f"sent {kind_of(call)} as a tool call")
            at = position if whole else _call_index(call, known)
            known += [""] * (at + 1 - len(known))
            known[at] = known[at] or _word(call.get("id"))
            sent.append(self._tool_call(call, index, at))
        return tuple(sent)

    def _tool_call(self, call: Mapping[str, Any], index: int, at: int) -> Mapping[str, Any]:
        sent = {**call, "index": at}
        if call.get("id") is not None:
            sent["id"] = _word(call["id"])
        for name, key in (("function", "arguments"), ("custom", "input")):
            said = call.get(name)
            if said is not None and not isinstance(said, dict):
                raise self.odd(f"sent the {name} of a tool call as {kind_of(said)}")
            if said and isinstance(said.get(key), str):
                fragment = self._joined(index, f"{key} {at}", said[key])
                sent[name] = {**said, key: fragment}
            elif said and said.get(key) is not None:
                sent[name] = {**said, key: orjson.dumps(whole_characters(said[key])).decode()}
            if said and said.get("name") is not None and not isinstance(said["name"], str):
                raise self.odd(f"sent the name of a {name} as {kind_of(said['name'])}")
        return sent

    def _joined(self, index: int, slot: str, text: str, finish: str | None = None) -> str:
        """Return a text with the half of a character that came before it, less one at its end.

        The other half comes with the next piece, unless this is the last.
        """
        if self._halves and (text or finish):
            text = self._halves.pop((index, slot), "") + text
        if not text or text.isascii():
            return text
        if not finish and _HIGH_HALVES[0] <= text[-1] <= _HIGH_HALVES[1]:
            self._halves[index, slot] = text[-1]
            text = text[:-1]
        return text if _is_whole(text) else whole_characters(text)


def usage_of(usage: Any) -> Usage | None:
    """Return what an answer counts, None where it counts nothing; what is no number is 0."""
    if not isinstance(usage, dict) or not usage:
        return None
    counted = {"prompt_tokens", "completion_tokens", "total_tokens"}
    return Usage(
        count_of(usage.get("prompt_tokens")),
        count_of(usage.get("completion_tokens")),
        rest_of(usage, counted),
    )


def count_of(value: Any) -> int:
    """Return a count, 0 for what is none."""
    try:
        return max(0, min(_MOST_TOKENS, int(value)))
    except (TypeError, ValueError, OverflowError):
        return 0


def _index(said: Any, position: int, taken: set[int]) -> int:
    """Return a choice's index as it is said; its place where that is none, or another's."""
    if said == position and type(said) is int and said not in taken:
        return position
    if isinstance(said, str) and said.isdecimal() and len(said) < 4:
        said = int(said)
    known = isinstance(said, int) and not isinstance(said, bool) and 0 <= said < _MOST_CHOICES
    index = said if known else position
    while index in taken:
        index += 1
    return index


def _call_index(call: Mapping[str, Any], known: list[str]) -> int:
    """Return which call a fragment belongs to, by its id before what it says of its index.

    Hosts send parallel calls all with index 0, or with none; an id that is new begins a new call.
    """
    id, said = _word(call.get("id")), call.get("index")
    at = said if type(said) is int and 0 <= said <= len(known) else None
    if not id:
        return at if at is not None else max(0, len(known) - 1)
    if id in known:
        return known.index(id)
    if at is not None and (at == len(known) or not known[at]):
        return at
    return len(known)


def _object(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _word(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _plain(value: Any) -> str:
    """Return the words in a part of reasoning, however it is wrapped."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_plain(item) for item in value)
    if isinstance(value, dict):
        keys = ("text", "thinking", "reasoning", "summary", "content")
        return next((_plain(value[key]) for key in keys if value.get(key)), "")
    return ""


def rest_of(values: Mapping[str, Any], known: frozenset[str] | set[str]) -> dict[str, Any]:
    """Return the fields that Motet has no slot for; what is null or empty is absent."""
    if values.keys() <= known:
        return {}
    return {
        name: value
        for name, value in values.items()
        if name not in known and value not in (None, "", [], {})
    }


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
