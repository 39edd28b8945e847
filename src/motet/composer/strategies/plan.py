"""Steps on paper: what each asks and needs, in an order in which they can be done."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError

from motet.composer.strategies.synthesis import synthesis
from motet.config import Options
from motet.types import Message, Request, message_texts
from motet.whole import object_in
from motet.wording import did_you_mean

REQUEST = "request"
"""What stands for the request in what a step asks."""
_PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")
_ASK = """\
{drafts}Do not answer yet. Split the request above into at most {most} steps that lead to the \
answer, as JSON. Each step has a "name", what it is to "ask", in which {{request}} stands for the \
request and {{name}} for the result of the step of that name, and "by", who does it, one of: \
{who}. The last step writes the answer. One step is enough for an easy request."""


class StepEntry(Options):
    """One step."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w{0,31}$")]
    """Its name, by which later steps have its result."""
    ask: Annotated[str, Field(min_length=1, max_length=8000)]
    """What is asked: `{request}` stands for the request's last message, `{name}` for the result of
    the step of that name, which it waits for."""
    by: str | None = None
    """The expert or composition that does it; the decision's first expert when absent."""


class Outline:
    """Steps that can be done.

    Attributes
    ----------
    steps
        In an order in which each comes after what it needs; the last writes the answer.
    needs
        Names of the steps that each needs, by its name.

    Raises
    ------
    ValueError
        They cannot: names twice or unknown, a circle, or a step that leads nowhere.
    """

    def __init__(self, steps: Sequence[StepEntry]) -> None:
        by_name = {step.name: step for step in steps}
        if not steps or len(by_name) < len(steps) or REQUEST in by_name:
            raise ValueError(f"each step needs a name of its own, and none is called {REQUEST!r}")
        known = (REQUEST, *by_name)
        self.needs: dict[str, list[str]] = {}
        for step in steps:
            named = dict.fromkeys(_PLACE.findall(step.ask))
            for name in named:
                if name not in known:
                    hint = did_you_mean(name, known)
                    raise ValueError(f"step {step.name!r} asks for {{{name}}}. {hint}")
            self.needs[step.name] = [name for name in named if name != REQUEST]
        last = steps[-1].name
        try:
            order = list(TopologicalSorter(self.needs).static_order())
        except CycleError as error:
            raise ValueError(
                f"steps need each other in a circle: {' -> '.join(error.args[1])}"
            ) from None
        useful = self._before(last)
        if idle := [name for name in by_name if name not in useful]:
            raise ValueError(
                f"step {idle[0]!r} leads nowhere: {last!r}, the last, does not need it"
            )
        self.steps = tuple(by_name[name] for name in order)

    def _before(self, last: str) -> set[str]:
        """Return the steps that lead to the last, itself among them."""
        leading, waiting = set[str](), [last]
        while waiting:
            name = waiting.pop()
            if name not in leading:
                leading.add(name)
                waiting += self.needs[name]
        return leading


def request_for(request: Request, ask: str, results: Mapping[str, str]) -> Request:
    """Return the request of a step on the way: the system's words, and what the step asks."""
    systems = [m for m in request.messages if m.get("role") in ("system", "developer")]
    asked: Message = {"role": "user", "content": _fill(ask, request, results)}
    return replace(
        request, messages=(*systems, asked), tools=(), tool_choice=None, response_format=None, n=1
    )


def filled(request: Request, ask: str, results: Mapping[str, str]) -> Request:
    """Return the request of the last step: the conversation, with its ask as the last message."""
    messages: list[Message] = list(request.messages)
    content: Any = _fill(ask, request, results)
    before = messages[-1].get("content")
    if isinstance(before, list | tuple) and (seen := [p for p in before if p["type"] != "text"]):
        content = [{"type": "text", "text": content}, *seen]
    messages[-1] = {**messages[-1], "content": content}
    return replace(request, messages=tuple(messages))


def _fill(ask: str, request: Request, results: Mapping[str, str]) -> str:
    """Return what is asked; a result is text, and no place in it is filled."""
    said = {REQUEST: "\n".join(message_texts(request.messages[-1])), **results}
    return _PLACE.sub(lambda match: said.get(match[1], match[0]), ask)


def proposal(request: Request, may: Sequence[str], most: int) -> Request:
    """Return the request for at most `most` steps, done by those who `may`, in a schema's form."""
    told = _ASK.replace("{most}", str(most)).replace("{who}", ", ".join(may))
    form = {"name": "steps", "strict": True, "schema": _schema(may, most)}
    return replace(
        synthesis(request, (), told),
        tools=(),
        tool_choice=None,
        response_format={"type": "json_schema", "json_schema": form},
    )


def outline_in(text: str, may: Sequence[str], most: int) -> Outline:
    """Return the steps in a proposal.

    Raises
    ------
    ValueError
        They are none, too many, name somebody else, or cannot be done.
    """
    values = object_in(text).get("steps")
    if not isinstance(values, list) or not 1 <= len(values) <= most:
        raise ValueError(f"a proposal has 1 to {most} steps")
    try:
        steps = [StepEntry.model_validate(value) for value in values]
    except ValidationError as error:
        raise ValueError(str(error)) from None
    if stranger := next((step.by for step in steps if step.by and step.by not in may), None):
        raise ValueError(f"{stranger!r} is nobody who may do a step")
    return Outline(steps)


def _schema(may: Sequence[str], most: int) -> dict[str, Any]:
    step = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "ask": {"type": "string"},
            "by": {"type": "string", "enum": list(may)},
        },
        "required": ["name", "ask", "by"],
        "additionalProperties": False,
    }
    steps = {"type": "array", "items": step, "minItems": 1, "maxItems": most}
    return {
        "type": "object",
        "properties": {"steps": steps},
        "required": ["steps"],
        "additionalProperties": False,
    }
