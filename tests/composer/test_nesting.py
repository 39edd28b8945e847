"""Compositions in the place of experts: within one budget, one trace, and never in a circle."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from motet.config import parse
from motet.errors import BudgetExceeded, ConfigError
from motet.service.motet import Motet
from motet.types import Purpose, Request

FLEET = """
version: 1
experts:
  - {id: four, engine: fake, tokens: ["The answer is ", "4"], price: {output: 1000000}}
  - {id: vier, engine: fake, tokens: ["The answer is 4.0"]}
  - {id: five, engine: fake, tokens: ["The answer is 5"]}
  - {id: dead, engine: fake, fail_after: 0}
routers:
  three: {kind: constant, expert: four, fallbacks: [vier, five]}
  front: {kind: constant, expert: jury, fallbacks: [five]}
  both: {kind: constant, expert: jury, fallbacks: [five, pair]}
  twice: {kind: constant, expert: outer}
  broken: {kind: constant, expert: dead}
  saved: {kind: constant, expert: lost, fallbacks: [five]}
compositions:
  jury: {router: three, strategy: {kind: vote}}
  pair: {router: three, strategy: {kind: vote, experts: 2}}
  outer: {router: front}
  deep: {router: twice}
  wide: {router: both, strategy: {kind: vote, weighted: false}}
  lost: {router: broken}
  kept: {router: saved}
  few: {router: both, strategy: {kind: vote}, limits: {expert_calls: 3}}
"""


@asynccontextmanager
async def served(text=FLEET):
    async with Motet(parse(text)) as motet:
        await motet.fleet.ready()
        await asyncio.sleep(0)
        yield motet


async def ask(motet, model, **fields):
    request = Request(model=model, messages=({"role": "user", "content": "2+2?"},), **fields)
    async with motet.answer(request) as answer:
        return "".join([chunk.text async for chunk in answer]), answer


@pytest.mark.parametrize("model", ["jury", "outer", "deep"])
@pytest.mark.parametrize("stream", [False, True])
async def test_it_answers_as_its_expert_does(model, stream):
    async with served() as motet:
        text, answer = await ask(motet, model, stream=stream)
    assert text == "The answer is 4" and answer.author == "four"
    assert set(answer.answered) <= {"four", "vier", "five"}
    assert answer.usage.completion_tokens >= 2 and answer.cost_usd >= 2


async def test_the_trace_is_a_tree():
    async with served() as motet:
        _, answer = await ask(motet, "deep")
    trace = answer.explain()["experts"]
    assert [(c["expert"], c["purpose"], c["parent"]) for c in trace[:3]] == [
        ("outer", "compose", None), ("jury", "compose", 0), ("four", "answer", 1)
    ]  # fmt: skip
    assert all(call["usage"]["completion_tokens"] == 0 for call in trace[:2])


async def test_members_stand_beside_experts_in_any_strategy():
    async with served() as motet:
        text, answer = await ask(motet, "wide")
    assert text == "The answer is 4"  # of the jury and the pair, against five
    assert sum(call.purpose is Purpose.COMPOSE for call in answer.calls.trace) == 2


async def test_one_budget_for_the_whole_tree():
    async with served() as motet:
        _, answer = await ask(motet, "few")
        assert len(answer.calls.made) == 3
        with pytest.raises(BudgetExceeded):
            async with served(
                FLEET.replace("expert_calls: 3", "expert_calls: 1, total_tokens: 1")
            ) as poor:
                await ask(poor, "few")


async def test_a_member_that_fails_is_replaced_like_an_expert():
    async with served() as motet:
        text, answer = await ask(motet, "kept")
    assert text == "The answer is 5" and answer.author == "five"


def test_circles_are_refused():
    text = FLEET.replace("expert: four, fallbacks: [vier, five]", "expert: deep")
    with pytest.raises(ConfigError, match="circle: .*jury.*outer"):
        Motet(parse(text))
    with pytest.raises(ConfigError, match="no expert 'jurry'.*Did you mean 'jury'"):
        Motet(
            parse(
                FLEET.replace("expert: jury, fallbacks: [five]", "expert: jurry, fallbacks: [five]")
            )
        )


STAYS = """
version: 1
experts:
  - {id: four, engine: fake, tokens: ["4"]}
  - {id: five, engine: fake, tokens: ["5"]}
  - {id: critic, engine: fake, tokens: ["REVISE: say why"]}
routers:
  fours: {kind: constant, expert: four}
  rules:
    kind: symbolic
    rules:
      - {name: sure, when: "mentions(['sure'])", use: [five, team]}
      - {name: rest, when: "true", use: [team, five]}
  stays: {kind: sticky, of: rules, margin: 1}
  asks: {kind: constant, expert: team}
compositions:
  team: {router: fours}
  kept: {router: stays}
  read: {router: asks, strategy: {kind: review, reviewer: critic}}
"""


async def test_a_conversation_stays_with_the_composition_that_answered():
    async with served(STAYS) as motet:
        messages = []
        for said in ("2+2?", "are you sure?"):
            messages.append({"role": "user", "content": said})
            request = Request(model="kept", messages=tuple(messages), session="s")
            async with motet.answer(request) as answer:
                text = "".join([chunk.text async for chunk in answer])
            assert (text, answer.author, answer.decision.primary) == ("4", "four", "team")
            messages.append({"role": "assistant", "content": text})


async def test_an_answer_is_sent_back_to_the_composition_that_wrote_it():
    async with served(STAYS) as motet:
        _, answer = await ask(motet, "read")
    assert [call.expert for call in answer.calls.trace] == [
        "team",
        "four",
        "critic",
        "team",
        "four",
    ]
