"""What every grader is."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from motet.errors import TableError
from motet.grading.sandbox import check_wall

Ask = Callable[[str], Awaitable[str]]
"""Puts a prompt to the expert that judges, and returns its answer."""

_FENCED = re.compile(r"```[\w+-]*\n(.*?)```", re.DOTALL)


class Reference(BaseModel):
    """Base of references with several fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Grader(ABC):
    """Judges answers against references.

    A grader is a subclass named in `motet.grading.GRADERS` or by an entry point of the group
    `motet.graders`.

    Attributes
    ----------
    Reference
        The type of what it compares with, as pydantic understands types.
    asks
        Whether it needs an expert that judges.
    walled
        Whether it runs or reads answers behind the wall of `sandbox`, and is refused without one.
    ask
        Puts a question to the expert that judges; None when the build has no judge.

    Raises
    ------
    NoWall
        It needs the wall, and there is none here; told now, before experts are asked for answers.
    """

    Reference: ClassVar[Any] = str
    asks: ClassVar[bool] = False
    walled: ClassVar[bool] = False

    def __init__(self, ask: Ask | None = None) -> None:
        if self.walled:
            check_wall()
        self.ask = ask

    @classmethod
    def parse(cls, reference: Any) -> Any:
        """Return a reference from a file of prompts as `grade` wants it.

        Raises
        ------
        TableError
            It has another form; the message names the field.
        """
        try:
            return TypeAdapter(cls.Reference).validate_python(reference)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            where = ".".join(map(str, ("reference", *fault["loc"])))
            said = fault["msg"].removeprefix("Value error, ")
            raise TableError(f"{where}: {said}") from None

    @abstractmethod
    async def grade(self, prompt: str, answer: str, reference: Any) -> float:
        """Return how good `answer` is, from 0 to 1; a malformed answer is 0, never an error."""


def unfenced(answer: str) -> str:
    """Return the first fenced code block of an answer, or the whole of it without one."""
    block = _FENCED.search(answer)
    return (block.group(1) if block else answer).strip()
