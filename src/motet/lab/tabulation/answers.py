"""Answers as they come, kept in a file that only grows, so that a build can be interrupted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import orjson

from motet.errors import TableError


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAnswer:
    """What one expert said to one prompt.

    Attributes
    ----------
    state
        Digest of the expert as it was: its engine, options and weights.
    prompt
        Digest of what it was asked.
    latency_s
        Seconds from the question to the last token, other questions of the build beside it.
    error
        Why it refused, in words; its text is empty then, and no grader gives it a point.
    """

    expert: str
    state: str
    prompt: str
    text: str
    prompt_tokens: int
    completion_tokens: int
    latency_s: float
    error: str | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes asking again pointless."""
        return self.expert, self.state, self.prompt


class AnswerLog:
    """The answers of a build, one JSON line each.

    A line that a crash cut short is dropped when the log is opened, and its question asked again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._answers: dict[tuple[str, str, str], RecordedAnswer] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                answer = RecordedAnswer(**orjson.loads(line))
            except (orjson.JSONDecodeError, TypeError) as error:
                raise TableError(
                    f"{path}:{number}: this line is no answer: {error}.",
                    hint="Move the file away to start anew.",
                ) from None
            self._answers[answer.key] = answer
        self._file = path.open("ab")
        self._file.truncate(len(whole))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def get(self, expert: str, state: str, prompt: str) -> RecordedAnswer | None:
        """Return the answer that is there already."""
        return self._answers.get((expert, state, prompt))

    def add(self, answer: RecordedAnswer) -> None:
        """Keep an answer; it is in the file when this returns."""
        self._file.write(orjson.dumps(asdict(answer)) + b"\n")
        self._file.flush()
        self._answers[answer.key] = answer
