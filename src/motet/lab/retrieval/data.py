"""Questions with the documents that answer them, by domain."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from motet.errors import TableError
from motet.files import read_lines
from motet.wording import shown

_FIELDS = ("domain", "question", "document")
_LEAST = 8
"""Questions that a domain needs: some to learn from, and some to see whether it did."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the document that answers it."""

    domain: str
    question: str
    document: str


def read_pairs(path: Path) -> list[Question]:
    """Return the pairs of a JSONL file, whose lines have `domain`, `question` and `document`.

    Raises
    ------
    TableError
        It cannot be read, a line is something else, or a domain has too few.
    """
    try:
        lines = read_lines(path)
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror or error}.") from None
    pairs = [_pair(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line]
    check(pairs, str(path))
    return pairs


def check(pairs: Sequence[Question], name: str) -> None:
    """Raise `TableError` unless every domain has enough questions."""
    counts = Counter(pair.domain for pair in pairs)
    if not counts:
        raise TableError(f"{name}: there are no questions.")
    domain, least = min(counts.items(), key=lambda item: item[1])
    if least < _LEAST:
        raise TableError(
            f"{name}: the domain {domain!r} has {least} questions, and {_LEAST} are needed."
        )


def _pair(line: str, where: str) -> Question:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise TableError(f"{where}: not valid JSON: {error}.") from None
    said = [values.get(name) if isinstance(values, dict) else None for name in _FIELDS]
    for name, value in zip(_FIELDS, said, strict=True):
        if not isinstance(value, str) or not value.strip():
            raise TableError(f"{where}: {name!r} must be a text. Got {shown(value)}.")
    return Question(*map(str, said))
