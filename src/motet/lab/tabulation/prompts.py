"""Files of prompts: JSON lines, each a question with what its grader compares answers with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError, model_validator

from motet.errors import ConfigError, TableError
from motet.files import read_lines
from motet.grading import GRADERS
from motet.tables.columns import read_columns
from motet.types import Message, Request
from motet.wording import did_you_mean


class PromptLine(BaseModel):
    """One line of a file of prompts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    query: str | None = None
    """The text of one user message, or instead of it:"""
    messages: tuple[dict[str, Any], ...] = ()
    """Chat messages in OpenAI's form."""
    id: str | None = None
    """A name of its own; the digest of the content when absent."""
    task: str = ""
    """What the prompt belongs to; results are shown by task."""
    grader: str | None = None
    """Who judges; the build's default when absent."""
    reference: Any = None
    """What that grader compares answers with."""
    max_tokens: PositiveInt | None = None
    """Bound on the answer; the build's default when absent."""

    @model_validator(mode="after")
    def _asks(self) -> PromptLine:
        if (self.query is None) == (not self.messages):
            raise ValueError("give either query or messages")
        return self


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A checked prompt.

    Attributes
    ----------
    reference
        As its grader wants it.
    line
        All of it as a line of a file of prompts, which a table keeps: a new expert can be asked
        the same.
    """

    id: str
    messages: tuple[Message, ...]
    task: str
    grader: str
    reference: Any
    max_tokens: int
    line: str = ""

    @cached_property
    def text(self) -> str:
        """What goes into the `query` column."""
        return Request(model="", messages=self.messages).text

    @cached_property
    def digest(self) -> str:
        """Digest of what an expert is asked; grader and task are no part of it."""
        return _digest([self.messages, self.max_tokens])


def read_prompts(
    path: str | Path, *, grader: str | None = None, max_tokens: int = 256, judge: bool = False
) -> list[Prompt]:
    """Return the prompts of a file.

    Parameters
    ----------
    grader, max_tokens
        For lines that name none.
    judge
        Whether the build has an expert that judges.

    Raises
    ------
    TableError
        The file cannot be read, or some lines are wrong: the first ten are listed, with number
        and field.
    """
    path = Path(path)
    try:
        lines = read_lines(path)
    except OSError as error:
        raise TableError(f"{path}: {error.strerror or error}.") from None
    prompts: dict[str, Prompt] = {}
    numbers: dict[str, int] = {}
    problems: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            prompt = _prompt(line, grader, max_tokens, judge)
            if prompt.id in prompts:
                raise TableError(f"id {prompt.id!r} stands in line {numbers[prompt.id]} already.")
        except TableError as error:
            problems.append(f"{path}:{number}: {error}")
            continue
        prompts[prompt.id], numbers[prompt.id] = prompt, number
    if problems:
        more = f"\n... and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise TableError("\n".join(problems[:10]) + more)
    if not prompts:
        raise TableError(f"{path}: there is no prompt in it.")
    return list(prompts.values())


def prompts_of(table: str | Path) -> dict[str, Prompt]:
    """Return the prompts that a table was built from, by the text in its column `query`.

    Those that an expert judges are left out.

    Raises
    ------
    TableError
        The table does not hold what was asked.
    """
    lines = read_columns(Path(table), "routing table", texts=("prompt",), numbers=()).get("prompt")
    if lines is None:
        raise TableError(
            f"{table}: it does not say how its prompts are graded, so they cannot be asked again.",
            hint="Build it again: motet table build. What was answered is not asked again.",
        )
    prompts = [_prompt(line, None, 1, judge=True) for line in lines.to_pylist() if line]
    return {p.text: p for p in prompts if not GRADERS.load(p.grader).asks}


def _prompt(line: str, default: str | None, max_tokens: int, judge: bool) -> Prompt:
    try:
        fields = PromptLine.model_validate(orjson.loads(line))
    except orjson.JSONDecodeError as error:
        raise TableError(f"this line is no JSON: {error}.") from None
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"])) or "this line"
        hint = did_you_mean(where, PromptLine.model_fields)
        unknown = fault["type"] == "extra_forbidden"
        said = fault["msg"].removeprefix("Value error, ")
        raise TableError(f"{where}: {said}.", hint=hint if unknown else "") from None
    name = fields.grader or default
    if name is None:
        raise TableError("no grader.", hint=f"One of: {', '.join(GRADERS.names())}.")
    try:
        grader = GRADERS.load(name)
    except ConfigError as error:
        raise TableError(str(error)) from None
    if grader.asks and not judge:
        raise TableError(f"grader {name!r} needs an expert that judges.", hint="Give --judge.")
    messages: tuple[Mapping[str, Any], ...] = fields.messages
    if fields.query is not None:
        messages = ({"role": "user", "content": fields.query},)
    whole: dict[str, Any] = {
        "id": fields.id or _digest(messages)[:16],
        "messages": messages,
        "task": fields.task,
        "grader": name,
        "reference": fields.reference,
        "max_tokens": fields.max_tokens or max_tokens,
    }
    parsed = whole | {"reference": grader.parse(fields.reference)}
    return Prompt(**parsed, line=orjson.dumps(whole).decode())


def _digest(value: Any) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
