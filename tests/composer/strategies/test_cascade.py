"""Cascades among live experts: who is asked, until when, and what is sent."""

import asyncio
import json
from contextlib import asynccontextmanager

import numpy as np
import pytest

from motet.composer.fitted.ballots import FittedBallots
from motet.composer.fitted.belief import Belief
from motet.composer.fitted.policy import Course
from motet.composer.fitted.tasks import TaskTeller
from motet.config import parse
from motet.errors import ConfigError, MotetError, UnsupportedRequest
from motet.service.motet import Motet
from motet.types import Request

FLEET = """
version: 1
experts:
  - {id: four, engine: fake, tokens: ['{"answer": ', '"4"}']}
  - {id: vier, engine: fake, tokens: ["The answer is 4.0"]}
  - {id: five, engine: fake, tokens: ["The answer is 5"]}
  - {id: dead, engine: fake, fail_after: 0}
  - {id: slow, engine: fake, tokens: [late], delay_s: 30}
routers:
  r: {kind: constant, expert: FIRST, fallbacks: [OTHERS]}
compositions:
  c: {router: r, strategy: {kind: cascade, draft_s: 0.2, STRATEGY}, limits: {expert_calls: CALLS}}
"""
EXPERTS = ("four", "vier", "five", "dead")


def artifact(folder, order, threshold, hopeless=0.0):
    """Write a cascade that believes `four` a little, and two who agree more."""
    weights = np.zeros((1, 2 * len(EXPERTS) + 11))
    weights[0, :4] = 1.0, 1.0, 0.5, 0.5  # chances against "none", whose weight is 0
    course = Course(tuple(EXPERTS.index(name) for name in order), threshold, hopeless)
    FittedBallots(
        experts=EXPERTS,
        teller=TaskTeller(("",), None),
        forms=("value",),
        belief=Belief(weights),
        courses=(course,),
    ).save(folder, "cascade", {})
    return f"artifact: {folder}"


@asynccontextmanager
async def cascade(*order, strategy="experts: 3", calls=16):
    text = FLEET.replace("FIRST", order[0]).replace("OTHERS", ", ".join(order[1:]))
    async with Motet(parse(text.replace("STRATEGY", strategy).replace("CALLS", str(calls)))) as m:
        await m.fleet.ready()
        await asyncio.sleep(0)
        yield m


async def ask(motet, **fields):
    fields = {"messages": ({"role": "user", "content": "2+2?"},)} | fields
    async with motet.answer(Request(model="c", **fields)) as answer:
        chunks = [chunk async for chunk in answer]
    asked = [call.expert for call in answer.calls.trace]
    return "".join(c.text for c in chunks), chunks[-1].choice_extra, asked


async def test_two_who_agree_are_enough():
    async with cascade("vier", "four", "five", strategy="experts: 3, answer: number") as motet:
        text, extra, asked = await ask(motet)
    assert text == "The answer is 4.0" and asked == ["vier", "four"]
    assert extra == {"confidence": 1.0, "unsure": False}


async def test_where_nobody_agrees_the_first_is_sent_as_unsure():
    async with cascade("five", "vier", strategy="experts: 2, answer: number") as motet:
        text, extra, _ = await ask(motet)
    assert text.endswith("5") and extra == {"confidence": 0.5, "unsure": True}


async def test_who_fails_is_passed_over():
    async with cascade("dead", "slow", "vier", strategy="experts: 3") as motet:
        text, extra, asked = await ask(motet)
    assert text.endswith("4.0") and asked == ["dead", "slow", "vier"] and extra["unsure"]
    async with cascade("dead", "slow", strategy="experts: 2") as motet:
        with pytest.raises(MotetError):
            await ask(motet)


async def test_the_budget_of_calls_ends_it_with_what_there_is():
    async with cascade("five", "vier", "four", strategy="experts: 3", calls=1) as motet:
        text, extra, asked = await ask(motet)
    assert text.endswith("5") and extra["unsure"] and asked == ["five"]


async def test_one_expert_alone_streams():
    async with cascade("four", strategy="experts: 1") as motet:
        text, _, _ = await ask(motet, stream=True)
    assert json.loads(text) == {"answer": "4"}


async def test_drafts_are_handed_on():
    async with cascade("five", "vier", strategy="experts: 2, hand_on: true") as motet:
        heard = []
        stream = motet.parts.experts["vier"].stream
        motet.parts.experts["vier"].stream = lambda request: (
            heard.append(request) or stream(request)
        )
        await ask(motet)
    assert "Answer 1: The answer is 5" in heard[0].messages[-1]["content"]


async def test_an_artifact_says_whom_to_ask_and_when_to_stop(tmp_path):
    options = artifact(tmp_path / "c", ["five", "four", "vier"], 0.7)
    async with cascade("vier", strategy=options) as motet:
        text, extra, asked = await ask(motet)
    # e^.5 against 1 is 0.62; then e over (1 + e^.5 + e) 0.51; then e^2 over (1 + e^.5 + e^2) 0.74
    assert asked == ["five", "four", "vier"] and json.loads(text) == {"answer": "4"}
    assert extra == {"confidence": pytest.approx(0.7361, abs=1e-3), "unsure": False}
    options = artifact(tmp_path / "d", ["five", "four", "vier"], 0.6)
    async with cascade("vier", strategy=options) as motet:
        assert (await ask(motet))[2] == ["five"]
    options = artifact(tmp_path / "e", ["five", "four", "vier"], 0.9, hopeless=0.55)
    async with cascade("vier", strategy=options) as motet:
        text, extra, asked = await ask(motet)
    assert asked == ["five", "four"] and extra["unsure"]


async def test_an_artifact_without_some_answers(tmp_path):
    options = artifact(tmp_path / "c", ["dead", "vier", "five"], 0.99)
    async with cascade("vier", strategy=options) as motet:
        text, _, asked = await ask(motet)
    assert asked == ["dead", "vier", "five"] and text.endswith("4.0")


async def test_what_a_cascade_cannot_give_is_refused():
    async with cascade("four", "five") as motet:
        for fields in ({"n": 2}, {"tools": ({"type": "function"},)}):
            with pytest.raises(UnsupportedRequest):
                await ask(motet, **fields)


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("artifact: nowhere", "is no folder"),
        ("artifact: nowhere, hand_on: true", "fitted to answers given alone"),
        ("experts: 2, agree: 3", "agree is 3, and only 2"),
    ],
)
async def test_options_that_do_not_fit_are_named(strategy, message):
    with pytest.raises(ConfigError, match=message):
        async with cascade("four", "five", strategy=strategy):
            pass


async def test_an_artifact_of_strangers_is_refused(tmp_path):
    options = artifact(tmp_path / "c", ["four"], 0.7)
    cover = (tmp_path / "c" / "composition.json").read_text()
    assert "four" in cover
    with pytest.raises(ConfigError, match="no expert 'four'"):
        text = FLEET.replace("FIRST", "five").replace("OTHERS", "").replace("CALLS", "4")
        text = text.replace("id: four", "id: other").replace("STRATEGY", options)
        async with Motet(parse(text)):
            pass
