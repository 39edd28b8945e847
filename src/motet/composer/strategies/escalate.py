"""A weak expert until there is trouble, then a strong one for the rest of the conversation.

An agent that goes in circles seldom finds out by itself. Trouble is seen in what its tools say, or
by a judge that reads the conversation; once seen, the conversation is latched to the strong expert,
also after a restart and on other replicas: it is a feature of the messages, and remembered besides.
Sources: NeMo Switchyard; FrugalGPT's cascade (arXiv:2305.05176), over turns instead of drafts.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator

from pydantic import PositiveInt

from motet.composer.calls import Calls
from motet.composer.relay import relay
from motet.composer.strategies.base import Strategy
from motet.composer.strategies.single import RelayConfig
from motet.composer.transcript import asked_of, transcript
from motet.conditions.condition import Condition
from motet.config import Setting
from motet.errors import ContextLengthExceeded, ExpertError
from motet.types import Chunk, Decision, Request

_VERDICT_TOKENS = 512  # a reasoning model thinks first
_QUESTION = """\
Below are the last messages between a user, an assistant and its tools. Judge whether the \
assistant gets on with the task, or is stuck: it repeats itself, its tools keep failing, or the \
user keeps saying that it is wrong. Reply with one word, "progress" or "stuck".

{said}

Verdict:"""


class EscalateConfig(RelayConfig):
    """Options of `kind: escalate`; `attempts` and `first_chunk_s` are those of `single`."""

    strong: str
    """The expert that a conversation in trouble stays with."""
    weak: str | None = None
    """The expert that begins; the router's choice when absent."""
    when: str = "tool_errors_in_a_row >= 3 || stalled_turns >= 3"
    """What trouble is: a CEL expression as in rules."""
    judge: str | None = None
    """An expert that reads each turn from the second on, and says whether the last ones got
    anywhere."""
    verdicts: PositiveInt = 2
    """Bad verdicts in a row that are trouble."""


class EscalateStrategy(Strategy):
    """Relays the weak expert's answers until there is trouble, and the strong one's from then."""

    Config = EscalateConfig
    options: EscalateConfig

    def __init__(self, options: EscalateConfig, setting: Setting) -> None:
        super().__init__(options, setting)
        for name in ("strong", "weak", "judge"):
            setting.check(getattr(options, name), name)
        self._trouble = Condition.at(options.when, "when")

    @property
    def remembers(self) -> bool:
        """Whether it reads what was before: always."""
        return True

    def stages(self, decision: Decision) -> tuple[tuple[str, ...], ...]:
        """Return the judge, and who begins."""
        judge = () if self.options.judge is None else ((self.options.judge,),)
        return (*judge, (self.options.weak or decision.primary,))

    async def run(
        self, request: Request, decision: Decision, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Relay whoever it is time for; the others stand by until the first chunk."""
        options = self.options
        weak = options.weak or decision.primary
        if await self._is_in_trouble(request, calls):
            calls.latched = options.strong
            order = (options.strong, weak, *decision.experts)
        else:
            order = (weak, *decision.experts, options.strong)
        experts = list(dict.fromkeys(order))[: options.attempts]
        turns = [(expert, request) for expert in experts]
        async for chunk in relay(turns, calls, first_chunk_s=options.first_chunk_s):
            yield chunk

    async def _is_in_trouble(self, request: Request, calls: Calls) -> bool:
        if request.past.latched == self.options.strong or self._trouble.holds(request):
            return True
        if self.options.judge is None or not _has_answers(request):
            return False
        calls.judged = await self._judged(self.options.judge, request, calls)
        return calls.judged >= self.options.verdicts

    async def _judged(self, judge: str, request: Request, calls: Calls) -> int:
        """Return how many verdicts in a row are bad; a judge that fails says nothing."""
        question = _QUESTION.format(said=transcript(request.messages))
        try:
            reply = await calls.ask(judge, asked_of(judge, question, request, _VERDICT_TOKENS))
        except (ExpertError, ContextLengthExceeded):
            return request.past.judged
        verdict = re.search(r"\b(progress|stuck)\b", reply, re.IGNORECASE)
        if verdict is None:
            return request.past.judged
        return request.past.judged + 1 if verdict[1].lower() == "stuck" else 0


def _has_answers(request: Request) -> bool:
    return any(message.get("role") == "assistant" for message in request.messages)
