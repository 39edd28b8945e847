"""Training and test data of a fusion: questions, right answers, and which experts were right."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from motet.errors import TableError, did_you_mean
from motet.types import Request


class _Line(BaseModel):
    """One line of a file of examples."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    query: str | None = None
    messages: tuple[dict[str, Any], ...] = ()
    prompt: str | None = None
    answer: str
    task: str = ""
    right: dict[str, bool] = {}

    @model_validator(mode="after")
    def _asks(self) -> _Line:
        if (self.query is not None) + bool(self.messages) + (self.prompt is not None) != 1:
            raise ValueError("give one of query, messages and prompt")
        if not self.answer.strip():
            raise ValueError("answer is empty")
        return self


@dataclass(frozen=True)
class Example:
    """One question.

    Attributes
    ----------
    answer
        The right answer.
    task
        What it belongs to; resampling and derangement stay within a task.
    right
        Which experts answer it right by themselves; trains the router. Empty where unknown.
    """

    request: Request
    answer: str
    task: str = ""
    right: Mapping[str, bool] = field(default_factory=dict)


def read_examples(path: Path, experts: Sequence[str]) -> list[Example]:
    """Return the examples of a file of JSON lines.

    Each line has `query` (one user message), `messages` or `prompt`; `answer`; and perhaps `task`
    and `right`, a mapping from experts to booleans.

    Raises
    ------
    TableError
        The file cannot be read, has no line, or a line is wrong; the line is named.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: cannot be read: {error}.") from None
    found = []
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            line = _Line.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            where = f"{where}: " if where else ""
            raise TableError(f"{path}:{number}: {where}{first['msg']}.") from None
        for name in line.right:
            if name not in experts:
                raise TableError(
                    f"{path}:{number}: right names {name!r}, which is no member. "
                    f"{did_you_mean(name, experts)}"
                )
        found.append(Example(_request(line), line.answer, line.task, line.right))
    if not found:
        raise TableError(f"{path}: there is no example in it.")
    return found


def data_hash(examples: Sequence[Example]) -> str:
    """Return a digest of everything that training learns from."""
    rows = [[asked(e.request), e.answer, e.task, dict(e.right)] for e in examples]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def asked(request: Request) -> list[Any]:
    """Return what a request asks, as plain JSON values."""
    return [request.prompt, [dict(message) for message in request.messages]]


def _request(line: _Line) -> Request:
    if line.query is not None:
        return Request(model="", messages=({"role": "user", "content": line.query},))
    return Request(model="", messages=line.messages, prompt=line.prompt)
