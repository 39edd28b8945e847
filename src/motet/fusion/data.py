"""Training and test data of a fusion: questions, right answers, and which experts were right."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from motet.errors import TableError
from motet.files import read_lines
from motet.grading import GRADERS
from motet.types import Request
from motet.wording import did_you_mean


class _ExampleLine(BaseModel):
    """One line of a file of examples."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    query: str | None = None
    messages: tuple[dict[str, Any], ...] = ()
    prompt: str | None = None
    answer: str
    task: str = ""
    right: dict[str, bool] = {}
    grader: str = "exact"
    reference: Any = None

    @model_validator(mode="after")
    def _asks(self) -> _ExampleLine:
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
    grader, reference
        Who judges another answer in an evaluation, and what it compares that with.
    """

    request: Request
    answer: str
    task: str = ""
    right: Mapping[str, bool] = field(default_factory=dict)
    grader: str = "exact"
    reference: Any = None


def read_examples(path: Path, experts: Sequence[str]) -> list[Example]:
    """Return the examples of a file of JSON lines.

    Each line has `query` (one user message), `messages` or `prompt`; `answer`; and perhaps `task`,
    `right` (a mapping from experts to booleans), and `grader` with its `reference`: `exact` and
    the answer where they are absent.

    Raises
    ------
    TableError
        The file cannot be read, has no line, or a line is wrong; the line is named.
    """
    try:
        lines = read_lines(path)
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror or error}.") from None
    examples = []
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            line = _ExampleLine.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            where = f"{where}: " if where else ""
            hint = ""
            if first["type"] == "extra_forbidden":
                hint = did_you_mean(first["loc"][-1], _ExampleLine.model_fields)
            raise TableError(f"{path}:{number}: {where}{first['msg']}.", hint=hint) from None
        for name in line.right:
            if name not in experts:
                raise TableError(
                    f"{path}:{number}: right names {name!r}, which is no member. "
                    f"{did_you_mean(name, experts)}"
                )
        examples.append(_example(line, f"{path}:{number}"))
    if not examples:
        raise TableError(f"{path}: there is no example in it.")
    return examples


def data_hash(examples: Sequence[Example]) -> str:
    """Return a digest of everything that training learns from."""
    rows = [[asked(e.request), e.answer, e.task, dict(e.right)] for e in examples]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def asked(request: Request) -> list[Any]:
    """Return what a request asks, as plain JSON values."""
    return [request.prompt, [dict(message) for message in request.messages]]


def _example(line: _ExampleLine, where: str) -> Example:
    request = Request(model="", messages=line.messages, prompt=line.prompt)
    if line.query is not None:
        request = Request(model="", messages=({"role": "user", "content": line.query},))
    reference = line.answer.strip() if line.reference is None else line.reference
    if line.grader not in GRADERS.names() or GRADERS.load(line.grader).asks:
        known = [name for name in GRADERS.names() if not GRADERS.load(name).asks]
        raise TableError(f"{where}: no grader {line.grader!r}. {did_you_mean(line.grader, known)}")
    try:
        parsed = GRADERS.load(line.grader).parse(reference)
    except TableError as error:
        raise TableError(f"{where}: {error}") from None
    return Example(request, line.answer, line.task, line.right, line.grader, parsed)
