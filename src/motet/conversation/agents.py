"""How an agent gets on: the tools it has called, what came of them, and whether it goes in circles.

A tool's result says nowhere that it is an error, unless its client marks it; so the words with
which results of failed commands begin are looked for, in their first characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from motet.types import Message, Request, message_texts

_READ = 400
"""Characters of a result in which an error is looked for."""
_MARKS = " \t\r\n*#>:-`[("
"""What may stand before the first word of a result."""
_BEGINS = re.compile(
    r"(?:error|failed|failure|fatal|exception|traceback|invalid|denied|unable to|cannot|could not|"
    r"command not found|no such)\b",
    re.IGNORECASE,
)
_SAYS = re.compile(
    r"Traceback \(most recent call last\)|(?:Error|Exception): |command not found|"
    r"No such file or directory|Permission denied|<error>|"
    r"[Ee]xit(?:ed with)?(?: code| status)?[:= ]{1,3}[1-9]|returncode[:= ]{1,3}[1-9]|"
    r"\"(?:is_)?error\": ?(?:true|\"[^\"])"
)
"""What a result says anywhere that tells of an error."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What an agent has done so far.

    Attributes
    ----------
    calls
        Tool calls in all.
    errors
        Results that tell of an error.
    errors_in_a_row
        Those since the last result that tells of none.
    repeated
        Calls that ask the same of the same tool as one before.
    stalled
        Turns since the last that brought something new: of calls that were all made before, or all
        failed.
    """

    calls: int = 0
    errors: int = 0
    errors_in_a_row: int = 0
    repeated: int = 0
    stalled: int = 0


def progress(request: Request) -> Progress:
    """Return what an agent has done so far, by the messages of its request."""
    calls = errors = in_a_row = repeated = stalled = 0
    seen: set[tuple[str, str]] = set()
    for made, results in _rounds(request.messages):
        failed = [_is_error(result) for result in results]
        for is_error in failed:
            errors += is_error
            in_a_row = in_a_row + 1 if is_error else 0
        known = [call in seen for call in made]
        calls += len(made)
        repeated += sum(known)
        is_stuck = all(known) or (len(failed) > 0 and all(failed))
        stalled = stalled + 1 if is_stuck else 0
        seen.update(made)
    return Progress(calls, errors, in_a_row, repeated, stalled)


def _rounds(
    messages: tuple[Message, ...],
) -> Iterator[tuple[list[tuple[str, str]], list[Message]]]:
    """Yield the calls of each message that has some, and the results that follow it."""
    made: list[tuple[str, str]] = []
    results: list[Message] = []
    for message in messages:
        if message.get("role") in ("tool", "function"):
            results.append(message)
        elif message.get("role") == "assistant":
            if made:
                yield made, results
            made, results = [_call(each) for each in message.get("tool_calls") or ()], []
    if made:
        yield made, results


def _call(call: Any) -> tuple[str, str]:
    """Return the name of the tool and what it is asked."""
    asked = call.get("function") or call.get("custom") or {} if isinstance(call, Mapping) else {}
    return str(asked.get("name", "")), str(asked.get("arguments", asked.get("input", "")))


def _is_error(result: Message) -> bool:
    if result.get("is_error") is True:
        return True
    text = "\n".join(message_texts(result))[:_READ].lstrip(_MARKS)
    return _BEGINS.match(text) is not None or _SAYS.search(text) is not None
