"""One expert answers; a stronger one reads the answers that end a task."""

import asyncio

import pytest
from tests.composer.helpers import ask, motet, read

from motet.errors import BudgetExceeded, ConfigError, ExpertError, UnsupportedRequest

PASSES = "{id: passes, engine: fake, tokens: [PASS]}"
WANTS = '{id: wants, engine: fake, tokens: ["REVISE: ", "name the king"]}'
MUTTERS = "{id: mutters, engine: fake, tokens: [hm]}"
DEAD = "{id: dead, engine: fake, fail_after: 0}"
ECHO = "{id: echo, engine: fake, capabilities: [chat, tools]}"
TOOL = "{id: caller, engine: fake, calls: [{name: ls}], capabilities: [chat, tools]}"
OFFER = ({"type": "function", "function": {"name": "ls"}},)


def reviewed(author, reviewer, more="", **options):
    name = reviewer.split("id: ")[1].split(",")[0]
    strategy = f", strategy: {{kind: review, reviewer: {name}{more}}}"
    return motet([author, reviewer], strategy, **options)


async def test_a_good_answer_goes_out_as_it_is():
    async with reviewed(ECHO, PASSES) as found:
        text, answer = await read(found, ask())
    assert text == "one two three" and answer.author == "echo"
    assert [call.expert for call in answer.calls.trace] == ["echo", "passes"]
    assert answer.answered == ("echo",)


async def test_another_is_sent_back_once_with_what_to_do():
    async with reviewed(ECHO, WANTS) as found:
        text, answer = await read(found, ask())
    assert "name the king" in text and "Do not mention the review" in text
    assert [call.expert for call in answer.calls.trace] == ["echo", "wants", "echo"]


async def test_rounds_are_bounded():
    async with reviewed(ECHO, WANTS, ", rounds: 3") as found:
        _, answer = await read(found, ask())
    assert [call.expert for call in answer.calls.trace] == ["echo", "wants"] * 3 + ["echo"]


async def test_tool_calls_go_out_unread_and_as_they_come():
    async with reviewed(TOOL, WANTS) as found:
        async with found.answer(ask(tools=OFFER, stream=True)) as answer:
            chunks = [chunk async for chunk in answer]
    assert [call.expert for call in answer.calls.trace] == ["caller"]
    calls = [call for chunk in chunks for call in chunk.tool_calls]
    assert calls[0]["function"]["name"] == "ls" and chunks[-1].finish in ("tool_calls", None)


async def test_what_the_gate_leaves_out_streams_unread():
    async with reviewed(ECHO, WANTS, ", when: turns > 1") as found:
        _, answer = await read(found, ask(stream=True, n=2))
    assert [call.expert for call in answer.calls.trace] == ["echo"]


@pytest.mark.parametrize("reviewer", [DEAD, MUTTERS])
async def test_a_reviewer_that_fails_leaves_the_door_open_or_closes_it(reviewer):
    async with reviewed(ECHO, reviewer) as found:
        assert (await read(found, ask()))[0] == "one two three"
    async with reviewed(ECHO, reviewer, ", fails: closed") as found:
        with pytest.raises(ExpertError):
            await read(found, ask())


async def test_a_budget_that_ends_before_the_second_answer():
    async with reviewed(ECHO, WANTS, limits="{expert_calls: 2}") as found:
        assert (await read(found, ask()))[0] == "one two three"
    async with reviewed(ECHO, WANTS, ", fails: closed", limits="{expert_calls: 2}") as found:
        with pytest.raises(BudgetExceeded):
            await read(found, ask())


async def test_a_review_is_of_one_answer():
    async with reviewed(ECHO, PASSES) as found:
        with pytest.raises(UnsupportedRequest, match="without n"):
            await read(found, ask(n=2))


async def test_who_leaves_stops_the_reviewer():
    slow = "{id: slow, engine: fake, delay_s: 60}"
    async with reviewed(ECHO, slow) as found:
        task = asyncio.create_task(read(found, ask()))
        while not found.fleet["slow"].open:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert found.fleet["slow"].open == 0


@pytest.mark.parametrize(
    ("more", "problem"), [(", when: turnz > 1", "turns"), (", rounds: 9", "less than or equal")]
)
async def test_options_are_checked(more, problem):
    with pytest.raises(ConfigError, match=problem):
        async with reviewed(ECHO, PASSES, more):
            pass
