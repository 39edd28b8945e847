"""Panels: drafts at once, an aggregator that streams, and what happens when some of it fails."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from motet.composer.strategies.synthesis import synthesis
from motet.config import parse
from motet.errors import ConfigError, ExpertError, NoExpertAvailable, UnsupportedRequest
from motet.service.motet import Motet
from motet.types import Choice, Decision, Request

FLEET = """
version: 1
experts:
  - {id: red, engine: fake, tokens: ["It is ", red], price: {output: 1}}
  - {id: blue, engine: fake, tokens: ["<think>red?", " no</think>", blue]}
  - {id: rose, engine: fake, tokens: ["It is ", red]}
  - {id: echo, engine: fake}
  - {id: dead, engine: fake, fail_after: 0}
  - {id: broken, engine: fake, tokens: [a, b, c], fail_after: 2}
  - {id: slow, engine: fake, tokens: [late], delay_s: 30}
  - {id: mute, engine: fake, tokens: ["<think>hm"]}
routers:
  r: {kind: constant, expert: FIRST, fallbacks: [OTHERS]}
compositions:
  council: {router: r, strategy: {kind: aggregate, STRATEGY}, limits: {LIMITS}}
"""


QUESTION = "Which colour?"


@asynccontextmanager
async def council(*panel, strategy="aggregator: echo", limits=""):
    text = FLEET.replace("FIRST", panel[0]).replace("OTHERS", ", ".join(panel[1:]))
    text = text.replace("STRATEGY", strategy).replace("LIMITS", limits)
    async with Motet(parse(text)) as motet:
        await motet.fleet.ready()
        await asyncio.sleep(0)
        yield motet


async def ask(motet, **fields):
    messages = ({"role": "user", "content": QUESTION},)
    request = Request(model="council", messages=messages, **fields)
    async with motet.answer(request) as answer:
        chunks = [chunk async for chunk in answer]
    return "".join(c.text for c in chunks if c.index == 0), answer


async def test_the_aggregator_reads_the_question_and_every_draft():
    async with council("red", "blue") as motet:
        text, answer = await ask(motet)
    assert text.startswith(QUESTION)
    assert "Answer 1: It is red" in text and "Answer 2: blue" in text and "think" not in text
    assert answer.author == "echo"
    explained = answer.explain()["experts"]
    assert [call["expert"] for call in explained] == ["red", "blue", "echo"]
    assert [call["draft"] for call in explained] == ["It is red", "blue", None]
    assert answer.calls.usage.completion_tokens == sum(
        c["usage"]["completion_tokens"] for c in explained
    )


async def test_a_failed_draft_leaves_the_panel():
    async with council(
        "dead", "red", "broken", "blue", strategy="experts: 4, aggregator: echo"
    ) as m:
        text, answer = await ask(m)
    assert "Answer 1: It is red" in text and "Answer 2: blue" in text and "Answer 3" not in text
    errors = [call["error"] for call in answer.explain()["experts"]]
    assert [bool(error) for error in errors] == [True, False, True, False, False]


async def test_drafts_are_written_at_once_and_the_slow_one_is_dropped():
    began = time.monotonic()
    async with council("slow", "red", "blue", strategy="aggregator: echo, draft_s: 0.3") as motet:
        text, answer = await ask(motet)
        assert "red" in text and "late" not in text
        assert motet.fleet["slow"].open == 0
    assert time.monotonic() - began < 10
    assert answer.calls.trace[0].error == "stopped before its end"


@pytest.mark.parametrize("panel", [("red", "rose"), ("red", "dead"), ("red", "mute")])
async def test_no_aggregator_where_one_answer_is_left(panel):
    async with council(*panel) as motet:
        text, answer = await ask(motet, n=2)
    assert text == "It is red" and answer.author == "red"
    assert [call.expert for call in answer.calls.trace] == list(panel)


async def test_an_aggregator_that_fails_before_its_first_word_is_replaced():
    async with council("red", "blue", strategy="aggregator: dead") as motet:
        text, answer = await ask(motet)
    assert text == "It is red" and answer.author == "red"
    assert [call.expert for call in answer.calls.trace] == ["red", "blue", "dead", "red"]


async def test_without_any_aggregator_the_first_draft_is_the_answer():
    async with council(
        "red", "blue", strategy="aggregator: dead", limits="expert_calls: 3"
    ) as motet:
        text, answer = await ask(motet)
    assert (text, answer.author) == ("It is red", "red")


async def test_an_aggregator_that_breaks_after_words_is_an_error():
    async with council("red", "blue", strategy="aggregator: broken") as motet:
        with pytest.raises(ExpertError):
            await ask(motet, stream=True)


async def test_nobody_answers():
    async with council("dead", "broken", strategy="aggregator: echo") as motet:
        with pytest.raises((ExpertError, NoExpertAvailable)):
            await ask(motet)


async def test_layers_see_the_layer_before():
    async with council("echo", "red", strategy="experts: 2, layers: 2, aggregator: echo") as motet:
        text, answer = await ask(motet)
    assert [call.expert for call in answer.calls.trace] == ["echo", "red", "echo", "red", "echo"]
    assert text.count("Answer 2: It is red") == 2  # once inside echo's second draft


async def test_self_is_one_expert_several_times():
    async with council("blue", "red", strategy="experts: 3, form: self, aggregator: echo") as motet:
        _, answer = await ask(motet)
    assert [call.expert for call in answer.calls.trace] == ["blue"] * 3


async def test_the_client_that_leaves_stops_the_panel():
    async with council("slow", "slow", strategy="form: self, aggregator: echo") as motet:
        task = asyncio.create_task(ask(motet))
        while motet.fleet["slow"].open < 3:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert motet.fleet["slow"].open == 0


async def test_the_budget_is_shared_and_the_aggregator_has_its_part():
    async with council("red", "echo", limits="total_tokens: 300") as motet:
        seen = {}
        for name in ("red", "echo"):
            expert = motet.fleet[name]
            stream = expert.stream
            expert.stream = lambda r, n=name, s=stream: (seen.setdefault(n, r), s(r))[1]
        await ask(motet)
    assert 0 < seen["red"].max_tokens < 100


async def test_tools_are_the_aggregators():
    async with council("red", "blue") as motet:
        seen = {}
        for name in ("red", "echo"):
            expert = motet.fleet[name]
            stream = expert.stream
            expert.stream = lambda r, n=name, s=stream: (seen.setdefault(n, r), s(r))[1]
        await ask(motet, tools=({"type": "function", "function": {"name": "f"}},))
    assert not seen["red"].tools and seen["echo"].tools


async def test_completions_are_refused():
    async with council("red", "blue") as motet:
        with pytest.raises(UnsupportedRequest, match="chats"):
            async with motet.answer(Request(model="council", prompt="x")) as answer:
                await anext(answer)


def test_stages():
    motet = Motet(
        parse(
            FLEET.replace("FIRST", "red")
            .replace("OTHERS", "blue")
            .replace("LIMITS", "")
            .replace("STRATEGY", "layers: 2, aggregator: echo")
        )
    )
    decision = Decision(choices=(Choice("red"), Choice("blue")), router="r", reason="")
    stages = motet.pipeline.compositions["council"].strategy.stages(decision)
    assert stages == (("red", "blue"), ("red", "blue"), ("echo",))


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        ("aggregator: ecko", r"strategy\.aggregator: no expert 'ecko'. Did you mean 'echo'"),
        ("aggregator: echo, profile: x.json", "either aggregator or profile"),
        ("experts: 1", "greater than or equal to 2"),
        ("profile: nowhere.json", r"strategy\.profile: .*nowhere.json"),
        ("aggregater: echo", "Did you mean 'aggregator'"),
    ],
)
async def test_bad_options(strategy, said):
    with pytest.raises(ConfigError, match=said):
        async with council("red", "blue", strategy=strategy):
            pass


def test_drafts_follow_the_last_question():
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    request = Request(
        model="m",
        messages=(
            {"role": "system", "content": "s"},
            {"role": "user", "content": [{"type": "text", "text": "q"}, image]},
            {"role": "assistant", "content": "a"},
        ),
    )
    asked = synthesis(request, ["x", "y"])
    assert asked.messages[0] == request.messages[0] and asked.messages[2] == request.messages[2]
    assert asked.messages[1]["content"][:2] == request.messages[1]["content"]
    assert "Answer 2: y" in asked.messages[1]["content"][2]["text"]
