"""One condition of the rule language, compiled and proved runnable before the first request.

The language is CEL (Common Expression Language): no loops but bounded macros, no side effects, no
access to Python. See `features.FEATURES` for the variables.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Self

from motet.conditions import _cel as cel
from motet.conditions import cost
from motet.conditions.features import FEATURES, LIST_LIMIT, REMEMBERED, mentions
from motet.errors import ConfigError
from motet.types import Request
from motet.wording import did_you_mean

_LONGEST = 2000
_BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|filter|map)\s*\(\s*(\w+)\s*,")
_POSITION = re.compile(r"<input>:\d+:(\d+): (.*)")
_SAMPLE = Request(model="sample", messages=({"role": "user", "content": "sample"},))


class Condition:
    """A compiled `when`.

    Attributes
    ----------
    reads
        The features that it reads.

    Raises
    ------
    ConfigError
        The expression does not parse, names something unknown, fails on a plain request, or
        does not give true or false; the message holds the position.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        if len(source) > _LONGEST:
            raise ConfigError(f"a rule may hold {_LONGEST} characters at most.")
        if (taken := cost.steps(source)) > cost.MOST:
            raise ConfigError(
                f"a rule may take {cost.MOST:,} steps at most, and this one may take {taken:,}: "
                f"macros in macros go through {LIST_LIMIT} items of each item."
            )
        try:
            self._program = cel.compile(source)
        except ValueError as error:
            raise ConfigError(_syntax_problem(source, str(error))) from None
        bound = set(_BOUND.findall(source))
        self.reads = frozenset(self._program.variables()) & FEATURES.keys()
        for name in self._program.variables():
            if name not in FEATURES and name not in bound:
                raise ConfigError(
                    f"unknown name {name!r} in a rule. {did_you_mean(name, FEATURES)}"
                )
        self._try()

    @classmethod
    def at(cls, source: str, *option: str | int) -> Self:
        """Return the condition that an option of a part holds; its faults name the option."""
        try:
            return cls(source)
        except ConfigError as error:
            raise ConfigError(error.problems, at=option) from None

    @property
    def remembers(self) -> bool:
        """Whether it reads what only a memory of the conversation knows."""
        return bool(self.reads & REMEMBERED)

    def holds(self, request: Request) -> bool:
        """Return whether the condition is true of `request`; false when it fails on it."""
        try:
            return self._run(request, _read) is True
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
            # Such as metadata.team on a request without that key, or a division by its turns
            # where it has none: the rule does not apply.
            return False

    def _run(self, request: Request, read: Callable[[Request, str], Any]) -> object:
        context = cel.Context(functions={"mentions": partial(mentions, request)})
        # Features are read on demand: most rules look at one or two.
        context.set_variable_resolver(partial(read, request))
        return self._program.execute(context)

    def _try(self) -> None:
        try:
            result = self._run(_SAMPLE, _read_sample)
        except LookupError:
            return  # a key of `metadata` that the sample lacks; `holds` treats it as false
        except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
            raise ConfigError(f"the rule fails: {str(error).splitlines()[0]}") from None
        if not isinstance(result, bool):
            raise ConfigError(
                f"a rule gives true or false, but this one gives {type(result).__name__}."
            )


def _read(request: Request, name: str) -> Any:
    """Return the feature called `name`, or None where a macro's own variable has that name."""
    return FEATURES[name][0](request) if name in FEATURES else None


def _read_sample(request: Request, name: str) -> Any:
    # Telling languages apart needs a model, which `motet check` has no use for.
    return "en" if name == "language" else _read(request, name)


def _syntax_problem(source: str, message: str) -> str:
    place = _POSITION.search(message)
    if place is None:
        return f"the rule does not compile: {message}"
    column, reason = int(place[1]), place[2].partition(" expecting ")[0]
    return f"the rule does not compile at character {column} of {source!r}: {reason}."
