"""The seam to protocols of hosts: how one is asked, and how its answer is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from motet.errors import ExpertError
from motet.experts.wire.failure import told
from motet.parsing import parsed, parsed_leniently, whole_characters
from motet.types import Chunk, Request


class AnswerReader(ABC):
    """Reads one answer, whole or event by event.

    Parameters
    ----------
    expert
        Whose answer it is, for errors.
    """

    def __init__(self, expert: str) -> None:
        self.expert = expert

    @property
    @abstractmethod
    def complete(self) -> bool:
        """Whether all of the answer is there."""

    @abstractmethod
    def read(self, payload: Any) -> list[Chunk]:
        """Return the chunks of what the JSON of a body or an event holds.

        Raises
        ------
        MotetError
            It says that the expert has failed, or is nothing of the form.
        """

    def read_json(self, data: bytes) -> list[Chunk]:
        """Return the chunks of one response body or one stream event; see `read`."""
        try:
            return self.read(parsed(data))
        except ValueError:
            pass
        try:
            payload = parsed_leniently(data)
        except ValueError as error:
            what = f"sent something that is not JSON ({error}): {data[:80]!r}"
            raise self.odd(what) from error
        return [_of_whole_characters(chunk) for chunk in self.read(payload)]

    def odd(self, what: str) -> ExpertError:
        """Return the error of an expert that sends what cannot be read."""
        return ExpertError(self.expert, f"{what}.")

    def told_in(self, payload: Any) -> dict[str, Any]:
        """Return a body or an event, which is an object and tells of no error.

        Raises
        ------
        MotetError
            It is none, or tells of one.
        """
        if not isinstance(payload, dict):
            raise self.odd(f"sent {kind_of(payload)} where an object belongs")
        if error := payload.get("error"):
            raise told(error, self.expert)
        return payload

    def object_in(self, value: Any, what: str) -> Mapping[str, Any]:
        """Return an object of the answer; an absent one is empty."""
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.odd(f"sent {kind_of(value)} as {what}")
        return value

    def text_in(self, values: Mapping[str, Any], name: str) -> str:
        """Return a text among the fields of an object; an absent one is empty."""
        text = values.get(name, "")
        if not isinstance(text, str):
            raise self.odd(f"sent {name} as {kind_of(text)}")
        return text


class Wire(ABC):
    """A protocol that hosts speak."""

    @abstractmethod
    def path(self, request: Request) -> str:
        """Return what is added to a host's URL to ask `request`."""

    @abstractmethod
    def body(self, request: Request, model: str) -> dict[str, Any]:
        """Return the JSON body that asks `model` to answer `request`.

        Raises
        ------
        RequestError
            The protocol has no words for a field.
        """

    @abstractmethod
    def reader(self, expert: str) -> AnswerReader:
        """Return what reads one answer."""

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers of every request, with a key unless that is empty."""
        return {"authorization": f"Bearer {key}"} if key else {}


def kind_of(value: Any) -> str:
    """Return what a JSON value is, in words."""
    names = {dict: "an object", list: "a list", str: "text", bool: "a truth value"}
    return "null" if value is None else names.get(type(value), "a number")


def _of_whole_characters(chunk: Chunk) -> Chunk:
    """Return a chunk that holds no half of a character."""
    return replace(
        chunk,
        text=whole_characters(chunk.text),
        reasoning=whole_characters(chunk.reasoning),
        tool_calls=tuple(whole_characters(call) for call in chunk.tool_calls),
        logprobs=whole_characters(chunk.logprobs),
        finish=whole_characters(chunk.finish),
        message_extra=whole_characters(chunk.message_extra),
        choice_extra=whole_characters(chunk.choice_extra),
        answer_extra=whole_characters(chunk.answer_extra),
        usage=chunk.usage and replace(chunk.usage, details=whole_characters(chunk.usage.details)),
    )
