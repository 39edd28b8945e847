"""Every strategy, alone and in every other, with experts that fail in every way.

Whatever happens there is an answer or one error, in time, and nothing is left: no task, no call
under way, no expert that still works.
"""

import asyncio
import itertools

import pytest

from motet.config import parse
from motet.errors import MotetError
from motet.service.motet import Motet
from motet.types import Request

STRATEGIES = {
    "single": "{kind: single, first_chunk_s: 0.06}",
    "hedged": "{kind: single, first_chunk_s: 0.06, hedge_s: 0.02}",
    "vote": "{kind: vote, weighted: false, draft_s: 0.06}",
    "patient": "{kind: vote, weighted: false, draft_s: 0.06, first: 1}",
    "cascade": "{kind: cascade, draft_s: 0.06}",
    "rank": "{kind: rank, judge: other, experts: 2, draft_s: 0.06, fuse: 2}",
    "aggregate": "{kind: aggregate, experts: 2, draft_s: 0.06, first_chunk_s: 0.06}",
    "debate": "{kind: debate, experts: 2, rounds: 2, draft_s: 0.06}",
    "refine": "{kind: refine, samples: 2, refinements: 2, experts: 2, draft_s: 0.06}",
    "steps": '{kind: steps, step_s: 0.06, first_chunk_s: 0.06, steps: [{name: a, ask: "x {request}"}, {name: b, ask: "y {a}"}]}',
}
FAULTS = {
    "before": "fail_after: 0",
    "during": "tokens: [a, b, c], fail_after: 1",
    "after": "tokens: [a, b], fail_after: 2",
    "slow": "delay_s: 0.12",
    "hangs": "tokens: [a, b], token_delay_s: 60",
    "silent": "delay_s: 60",
    "empty": "tokens: []",
    "garbage": 'tokens: ["\\x00", "}{", "<think>"]',
    "refuses": "fail_after: 0, error: rejected",
}
FLEET = """
version: 1
experts:
  - {id: good, engine: fake, tokens: [well, " done"]}
  - {id: other, engine: fake, tokens: [well, " done"]}
  - {id: bad, engine: fake, FAULT}
routers:
  experts: {kind: constant, expert: FIRST, fallbacks: [SECOND, other]}
  nested: {kind: constant, expert: inner, fallbacks: [good, other]}
compositions:
  inner: {router: experts, strategy: INNER, limits: {deadline_s: 0.7, expert_calls: 24}}
  outer: {router: nested, strategy: OUTER, limits: {deadline_s: 0.7, expert_calls: 24}}
"""


def fleet(fault, first="bad", inner="single", outer="single"):
    second = "good" if first == "bad" else "bad"
    text = FLEET.replace("FAULT", FAULTS[fault]).replace("FIRST", first).replace("SECOND", second)
    return text.replace("INNER", STRATEGIES[inner]).replace("OUTER", STRATEGIES[outer])


async def end_of(motet, model, *, stream, leaves_after=None):
    """Return what came: the text, or the error; the client may leave after so many chunks."""
    request = Request(model=model, messages=({"role": "user", "content": "go on"},), stream=stream)
    said = []
    try:
        async with motet.answer(request) as answer:
            async for chunk in answer:
                said.append(chunk.text)
                if leaves_after is not None and len(said) >= leaves_after:
                    break
    except MotetError as error:
        return error
    return "".join(said)


async def assert_nothing_is_left(motet, before):
    for _ in range(50):
        if all(expert.open == 0 for expert in motet.parts.experts.values()):
            break
        await asyncio.sleep(0.01)
    assert {name: e.open for name, e in motet.parts.experts.items() if e.open} == {}
    left = {task for task in asyncio.all_tasks() if not task.done()} - before
    assert not left, left
    known = list(asyncio.get_running_loop()._asyncgens)  # every one that was begun and still is
    running = [
        each
        for each in known
        if each.ag_frame is not None and "/motet/composer/" in each.ag_code.co_filename
    ]
    assert not running, running


async def check(text, model, *, leaves=False):
    async with Motet(parse(text)) as motet:
        await motet.fleet.ready()
        await asyncio.sleep(0)
        before = asyncio.all_tasks()
        for stream in (False, True):
            async with asyncio.timeout(8):
                ends = [await end_of(motet, model, stream=stream)]
                if leaves:
                    ends += [
                        await end_of(motet, model, stream=stream, leaves_after=n) for n in (1, 2)
                    ]
            for end in ends:
                assert isinstance(end, MotetError) or isinstance(end, str)
            await assert_nothing_is_left(motet, before)
        return ends[0]


@pytest.mark.parametrize(
    ("strategy", "fault", "first"), itertools.product(STRATEGIES, FAULTS, ["bad", "good"])
)
async def test_a_strategy_ends(strategy, fault, first):
    end = await check(
        fleet(fault, first, inner=strategy), "inner", leaves=fault in ("during", "hangs", "slow")
    )
    if fault in ("before", "refuses"):
        assert end == "well done", end  # who has failed at once is replaced, or left out


PAIRS = list(itertools.product(STRATEGIES, STRATEGIES))


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
@pytest.mark.parametrize("fault", ["before", "silent"])
async def test_a_strategy_in_another_ends(outer, inner, fault):
    end = await check(fleet(fault, inner=inner, outer=outer), "outer")
    if fault == "before":
        assert end == "well done", end


@pytest.mark.parametrize("outer", STRATEGIES)
async def test_a_client_that_is_cancelled_leaves_nothing(outer):
    async with Motet(parse(fleet("hangs", inner="vote", outer=outer))) as motet:
        await motet.fleet.ready()
        before = asyncio.all_tasks()
        for seconds in (0.0, 0.005, 0.05):
            asking = asyncio.create_task(end_of(motet, "outer", stream=True))
            await asyncio.sleep(seconds)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await assert_nothing_is_left(motet, before)
