"""A router that asks an expert: it writes what the task is, or names who should do it.

Glider's global router (arXiv 2410.07172) lets a language model write the instruction of the task
and matches its embedding to the experts' descriptions; LLMoE (arXiv 2501.09636) lets it name the
expert. The answer is bound to a JSON schema.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from pydantic import PositiveFloat, PositiveInt

from motet.config import Options, Setting
from motet.encoders.encoder import DEFAULT_ENCODER
from motet.encoders.text import TextConfig, text_form
from motet.errors import MotetError
from motet.routers.base import Router
from motet.types import Asks, Capability, Choice, Decision, Fleet, Member, Request
from motet.whole import object_in

if TYPE_CHECKING:
    from motet.encoders.live import Batcher, Encoders

_ASK_TASK = (
    "Write in one short sentence what kind of task the message below asks for and what "
    'knowledge it needs. Do not do the task. Answer as JSON: {{"task": "..."}}.\n\n{text}'
)
_ASK_NAME = (
    "Which of these experts should answer the message below? Do not answer it yourself.\n"
    '{experts}\nAnswer as JSON: {{"expert": "..."}}.\n\n{text}'
)


class LLMConfig(Options):
    """Options of `kind: llm`."""

    expert: str
    """The expert that is asked."""
    by: Literal["task", "name"] = "task"
    """Whether it describes the task, which is matched to the experts' descriptions, or names the
    expert."""
    timeout_s: PositiveFloat = 10.0
    """Seconds it has; then this router does not know."""
    max_tokens: PositiveInt = 64
    """Longest answer."""
    temperature: PositiveFloat = 0.1
    """What cosines are divided by to make the weights of the choices."""
    encoder: str = DEFAULT_ENCODER
    """What embeds the task and the descriptions (`by: task`)."""
    text: TextConfig = TextConfig(max_chars=2000)
    """How a request becomes the message that is shown."""


class LLMRouter(Router):
    """Chooses by what an expert says of the request; without a usable answer it does not know."""

    Config = LLMConfig
    options: LLMConfig

    def __init__(self, name: str, options: LLMConfig, setting: Setting) -> None:
        super().__init__(name, options, setting)
        setting.check(options.expert, "expert")
        self._encoders: Encoders | None = setting.encoders
        self._batcher: Batcher | None = None
        self._starting = asyncio.Lock()

    @property
    def asks(self) -> tuple[str, ...]:
        """The one expert that reads requests."""
        return (self.options.expert,)

    async def start(self) -> None:
        """Load the encoder, where one is needed, in a thread."""
        async with self._starting:
            if self.options.by == "task" and self._batcher is None and self._encoders is not None:
                live = await asyncio.to_thread(self._encoders.live, self.options.encoder)
                self._batcher = live.batcher

    async def route(self, request: Request, fleet: Fleet, calls: Asks) -> Decision | None:
        """Ask, and match the answer to the fleet; None when there is no usable answer."""
        text = text_form(request, self.options.text)
        field = "task" if self.options.by == "task" else "expert"
        try:
            async with asyncio.timeout(self.options.timeout_s):
                answer = await calls.ask(self.options.expert, self._question(text, fleet))
        except (TimeoutError, MotetError):
            return None
        said = _field(answer, field)
        if said is None:
            return None
        if self.options.by == "name":
            return self._named(said, fleet)
        return await self._matched(said, fleet)

    def _question(self, text: str, fleet: Fleet) -> Request:
        options = self.options
        field, allowed = "task", {"type": "string", "maxLength": 300}
        content = _ASK_TASK.format(text=text)
        if options.by == "name":
            field, allowed = "expert", {"type": "string", "enum": list(fleet)}
            lines = "\n".join(f"- {_described(member)}" for member in fleet.values())
            content = _ASK_NAME.format(text=text, experts=lines)
        schema = {
            "type": "object",
            "properties": {field: allowed},
            "required": [field],
            "additionalProperties": False,
        }
        # An expert that cannot be bound to a schema is asked all the same, in words.
        asked = fleet.get(options.expert)
        able = asked is None or Capability.JSON_SCHEMA in asked.card.capabilities
        form = {"type": "json_schema", "json_schema": {"name": field, "schema": schema}}
        return Request(
            model=options.expert,
            messages=({"role": "user", "content": content},),
            max_tokens=options.max_tokens,
            temperature=0.0,
            response_format=form if able else None,
        )

    def _named(self, said: str, fleet: Fleet) -> Decision | None:
        if said not in fleet:
            return None
        others = [expert for expert in fleet if expert != said]
        return Decision(
            choices=tuple(Choice(expert) for expert in (said, *others)),
            router=self.name,
            reason=f"{self.options.expert!r} named {said!r}",
        )

    async def _matched(self, task: str, fleet: Fleet) -> Decision:
        import numpy as np
        from scipy.special import softmax

        await self.start()
        assert self._batcher is not None
        texts = [task, *(_described(member) for member in fleet.values())]
        wanted, *known = await asyncio.gather(*(self._batcher.embed(text) for text in texts))
        similar = np.stack(known) @ wanted
        weights = softmax(similar / self.options.temperature)
        order = np.argsort(-weights, kind="stable")
        names = list(fleet)
        return Decision(
            choices=tuple(Choice(names[at], round(float(weights[at]), 4)) for at in order),
            router=self.name,
            reason=f"{self.options.expert!r} reads the task as {task!r}, nearest to "
            f"{names[order[0]]!r} ({similar[order[0]]:.2f})",
            confidence=round(float(weights[order[0]]), 4),
        )


def _described(member: Member) -> str:
    card = member.card
    words = ". ".join(filter(None, (card.description, ", ".join(card.skills))))
    return f"{card.id}: {words}" if words else card.id


def _field(answer: str, name: str) -> str | None:
    """Return a string field of the JSON object in an answer; None when there is none."""
    value = object_in(answer).get(name)
    return value.strip() if isinstance(value, str) and value.strip() else None
