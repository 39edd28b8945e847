"""A persona for those who ask for something to be written, and for nobody else.

Telling a model who it is helps what it writes and harms what it knows (PRISM; Kong et al. 2024 and
Zheng et al. 2024 on role prompts). So a gate looks at what is asked first.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace

from pydantic import model_validator

from motet.composer.calls import Calls
from motet.composer.strategies.single import SingleConfig, SingleStrategy
from motet.conditions.condition import Condition
from motet.config import Setting
from motet.types import Choice, Chunk, Decision, Request


class PersonaConfig(SingleConfig):
    """Options of `kind: persona`; those of `single` say how the expert is asked."""

    prompt: str | None = None
    """The persona: a system message, put first where the client sent none of its own."""
    expert: str | None = None
    """The persona as an adapter: this expert leads, the router's choices stand by."""
    when: str = "generative"
    """The gate, a CEL expression as in rules; elsewhere the request passes as it came."""

    @model_validator(mode="after")
    def _says_who(self) -> PersonaConfig:
        if self.prompt is None and self.expert is None:
            raise ValueError("a persona has a prompt, an expert or both")
        return self


class PersonaStrategy(SingleStrategy):
    """Answers as `single` does, in character where the gate is open."""

    Config = PersonaConfig
    options: PersonaConfig

    def __init__(self, options: PersonaConfig, setting: Setting) -> None:
        super().__init__(options, setting)
        setting.check(options.expert, "expert")
        self._gate = Condition.at(options.when, "when")

    @property
    def remembers(self) -> bool:
        """Whether its gate reads what was before."""
        return self._gate.remembers

    def run(
        self, request: Request, decision: Decision, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Relay the first expert that begins to answer, in character or not."""
        if self._gate.holds(request):
            request, decision = self._in_character(request), self._led(decision)
        return super().run(request, decision, calls)

    def _in_character(self, request: Request) -> Request:
        instructed = any(m.get("role") in ("system", "developer") for m in request.messages)
        if self.options.prompt is None or instructed or not request.messages:
            return request
        persona = {"role": "system", "content": self.options.prompt}
        return replace(request, messages=(persona, *request.messages))

    def _led(self, decision: Decision) -> Decision:
        leader = self.options.expert
        if leader is None:
            return decision
        others = tuple(choice for choice in decision.choices if choice.expert != leader)
        return replace(decision, choices=(Choice(leader), *others))
