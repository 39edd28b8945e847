"""One expert answers: who takes over before the first chunk, and nobody after it."""

import pytest
from tests.composer.helpers import ECHO, ask, motet, read

from motet.errors import (
    BudgetExceeded,
    ConfigError,
    ContextLengthExceeded,
    ExpertError,
    ExpertRejected,
    NoExpertAvailable,
)


@pytest.mark.parametrize("error", ["failed", "unavailable", "overloaded", "timeout", "rejected"])
async def test_failure_before_the_first_chunk_is_replaced(error):
    broken = f"{{id: broken, engine: fake, fail_after: 0, error: {error}}}"
    async with motet([broken, ECHO]) as found:
        text, answer = await read(found, ask())
        assert text == "one two three"
        assert answer.author == "echo"
        assert [bool(call.error) for call in answer.calls.trace] == [True, False]


async def test_failure_after_the_first_chunk_is_not():
    async with motet(["{id: a, engine: fake, tokens: [x, y], fail_after: 1}", ECHO]) as found:
        with pytest.raises(ExpertError, match="scripted"):
            await read(found, ask(stream=True))
        text, _ = await read(found, ask())
        assert text == "one two three"  # who reads no stream has read nothing yet


async def test_slow_starter_is_replaced():
    slow = "{id: slow, engine: fake, delay_s: 60}"
    async with motet([slow, ECHO], ", strategy: {kind: single, first_chunk_s: 0.05}") as found:
        _, answer = await read(found, ask())
        assert answer.author == "echo"
        assert found.fleet["slow"].open == 0


async def test_all_fail():
    dead = ["{id: a, engine: fake, fail_after: 0}", "{id: b, engine: fake, fail_after: 0}"]
    async with motet(dead) as found:
        with pytest.raises(NoExpertAvailable, match="All 2 experts") as caught:
            await read(found, ask())
        assert caught.value.retry_after


async def test_attempts_are_bounded():
    dead = [f"{{id: a{i}, engine: fake, fail_after: 0}}" for i in range(4)]
    async with motet([*dead, ECHO], ", strategy: {kind: single, attempts: 2}") as found:
        with pytest.raises(NoExpertAvailable, match="All 2"):
            await read(found, ask())


async def test_a_rejection_says_more_than_an_outage():
    experts = [
        "{id: a, engine: fake, fail_after: 0, error: rejected}",
        "{id: b, engine: fake, fail_after: 0}",
    ]
    async with motet(experts) as found:
        with pytest.raises(ExpertRejected):
            await read(found, ask())


async def test_context_of_all_exceeded():
    async with motet([ECHO, "{id: b, engine: fake, context: 20}"]) as found:
        with pytest.raises(ContextLengthExceeded) as caught:
            await read(found, ask("word " * 60))
        assert (caught.value.limit, caught.value.wanted) == (50, 60)


async def test_a_budget_without_room_for_another_leaves_the_first_to_answer():
    late = "{id: late, engine: fake, delay_s: 0.1, tokens: [late]}"
    hedged = ", strategy: {kind: single, hedge_s: 0.01}"
    async with motet([late, ECHO], hedged, limits="{expert_calls: 1}") as found:
        text, answer = await read(found, ask())
        assert text == "late" and answer.author == "late"
    dead = "{id: dead, engine: fake, delay_s: 0.1, fail_after: 0}"
    async with motet([dead, ECHO], hedged, limits="{expert_calls: 1}") as found:
        with pytest.raises(BudgetExceeded):
            await read(found, ask())


@pytest.mark.parametrize(
    "strategy", ["{kind: escalate, strong: echo", "{kind: review, reviewer: echo"]
)
async def test_who_does_not_hedge_takes_no_options_for_it(strategy):
    with pytest.raises(ConfigError, match="unknown field 'hedge_s'"):
        async with motet([ECHO], f", strategy: {strategy}, hedge_s: 1}}"):
            pass
