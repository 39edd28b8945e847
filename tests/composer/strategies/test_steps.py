"""Steps: in the order of what they need, each by whom it names, and the last is streamed."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.composer.strategies.plan import Outline, StepEntry, outline_in
from motet.config import parse
from motet.errors import ConfigError
from motet.service.motet import Motet
from motet.types import Request

FLEET = """
version: 1
experts:
  - {id: echo, engine: fake}
  - {id: slowly, engine: fake, delay_s: 0.05}
  - {id: facts, engine: fake, tokens: [Oslo, " is cold"]}
  - {id: dead, engine: fake, fail_after: 0}
  - {id: planner, engine: fake, tokens: ['PLAN']}
routers:
  r: {kind: constant, expert: FIRST, fallbacks: [echo, facts]}
compositions:
  work: {router: r, strategy: {kind: steps, STEPS}}
"""
WRITTEN = """steps: [{name: look, ask: "Facts for {request}?", by: facts},
  {name: critique, ask: "What is wrong with {look}?"},
  {name: write, ask: "{request} | {look} | {critique}"}]"""


@asynccontextmanager
async def served(steps=WRITTEN, first="echo", plan=""):
    text = FLEET.replace("STEPS", steps).replace("FIRST", first).replace("PLAN", plan)
    async with Motet(parse(text)) as motet:
        await motet.fleet.ready()
        await asyncio.sleep(0)
        yield motet


async def ask(motet, **fields):
    request = Request(
        model="work", messages=({"role": "user", "content": "the weather"},), **fields
    )
    async with motet.answer(request) as answer:
        return "".join([chunk.text async for chunk in answer]), answer


@pytest.mark.parametrize("stream", [False, True])
async def test_results_lead_to_the_answer(stream):
    async with served() as motet:
        text, answer = await ask(motet, stream=stream)
    assert text == "the weather | Oslo is cold | What is wrong with Oslo is cold?"
    assert [call.expert for call in answer.calls.trace] == ["facts", "echo", "echo"]


async def test_steps_that_need_nothing_of_each_other_run_at_once():
    steps = 'steps: [{name: a, ask: "x", by: slowly}, {name: b, ask: "y", by: slowly}, {name: c, ask: "{a}{b}"}]'
    async with served(steps) as motet:
        text, answer = await ask(motet)
    first, second, last = answer.calls.trace
    assert text == "xy" and second.started < first.finished and last.started >= first.finished


async def test_a_step_that_fails_is_done_by_another():
    async with served(WRITTEN.replace("by: facts", "by: dead")) as motet:
        text, answer = await ask(motet)
    assert text.startswith("the weather | Facts for the weather?") and answer.calls.trace[0].error


async def test_a_step_that_nobody_does_ends_the_answer():
    steps = 'steps: [{name: a, ask: "x"}, {name: c, ask: "{a}"}]'
    only = (
        FLEET.replace(", fallbacks: [echo, facts]", "")
        .replace("STEPS", steps)
        .replace("FIRST", "dead")
    )
    async with Motet(parse(only)) as motet:
        await motet.fleet.ready()
        with pytest.raises(Exception, match="scripted failure"):
            await ask(motet)


@pytest.mark.parametrize("stream", [False, True])
async def test_steps_that_an_expert_proposes(stream):
    plan = '{"steps": [{"name": "look", "ask": "{request}", "by": "facts"}, {"name": "out", "ask": "so: {look}", "by": "echo"}]}'
    async with served("planner: planner", plan=plan) as motet:
        text, answer = await ask(motet, stream=stream)
    assert text == "so: Oslo is cold"
    assert [call.expert for call in answer.calls.trace] == ["planner", "facts", "echo"]


@pytest.mark.parametrize(
    "plan",
    ["no idea", '{"steps": []}', '{"steps": [{"name": "a", "ask": "{b}", "by": "echo"}]}',
     '{"steps": [{"name": "a", "ask": "x", "by": "planner"}]}', '{"steps": [{"name": "a", "ask": "{a}", "by": "echo"}]}'],
)  # fmt: skip
async def test_a_proposal_that_cannot_be_done_leaves_the_first_expert_alone(plan):
    async with served("planner: planner", plan=plan) as motet:
        assert (await ask(motet))[0] == "the weather"


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ('steps: [{name: a, ask: "{b}"}, {name: b, ask: "{a}"}]', "circle: "),
        ('steps: [{name: a, ask: "x"}, {name: b, ask: "y"}]', "'a' leads nowhere"),
        ('steps: [{name: a, ask: "{lok}"}]', r"asks for \{lok\}"),
        ('steps: [{name: a, ask: x}, {name: a, ask: "{a}"}]', "a name of its own"),
        ("steps: [{name: request, ask: x}]", "none is called 'request'"),
        ("steps: [{name: a, ask: x, by: nobody}]", "no expert 'nobody'"),
        ("most: 3", "give either steps, or a planner"),
    ],
)
def test_steps_that_cannot_be_done_are_refused(steps, words):
    with pytest.raises(ConfigError, match=words):
        Motet(parse(FLEET.replace("STEPS", steps).replace("FIRST", "echo")))


@given(st.data())
def test_the_order_follows_the_edges(data):
    count = data.draw(st.integers(1, 8))
    order = data.draw(st.permutations(range(count - 1)))
    needs = {
        at: data.draw(st.sets(st.sampled_from(order[:place]))) if place else set()
        for place, at in enumerate(order)
    }
    needs[count - 1] = set(range(count - 1))
    steps = [
        StepEntry(name=f"s{at}", ask="do " + "".join(f"{{s{n}}}" for n in sorted(needs[at])))
        for at in range(count)
    ]
    names = [step.name for step in Outline(steps).steps]
    assert names[-1] == f"s{count - 1}" and sorted(names) == sorted(step.name for step in steps)
    for at, needed in needs.items():
        assert all(names.index(f"s{n}") < names.index(f"s{at}") for n in needed)


@given(st.text())
def test_any_proposal_is_read_or_refused(text):
    try:
        outline_in(text, ("echo",), 3)
    except ValueError:
        pass


async def test_a_result_fills_no_places():
    steps = 'steps: [{name: a, ask: "{request}"}, {name: b, ask: "{a}!"}]'
    async with served(steps) as motet:
        request = Request(
            model="work", messages=({"role": "user", "content": "{a} {b} {request}"},)
        )
        async with motet.answer(request) as answer:
            assert "".join([chunk.text async for chunk in answer]) == "{a} {b} {request}!"
