"""The calls of one answer: counted, within a budget, and closed with it."""

import pytest
from tests.composer.helpers import ECHO, ask, motet, read

from motet.composer.calls import Calls
from motet.config import Limits
from motet.errors import BudgetExceeded
from motet.types import Chunk, ExpertCard, Request


async def test_expert_calls_are_capped():
    experts = ["{id: a, engine: fake, fail_after: 0}", ECHO]
    async with motet(experts, limits="{expert_calls: 1}") as found:
        with pytest.raises(BudgetExceeded, match="1 expert calls"):
            await read(found, ask())


@pytest.mark.parametrize("limits", ["{total_tokens: 11}", "{cost_usd: 0.000014}"])
async def test_budget_shortens_the_answer(limits):
    # The prompt is estimated at 8 tokens, which leaves 3 of 11, and 6e-6 USD at 2 USD a million.
    async with motet([ECHO], limits=limits) as found:
        text, answer = await read(found, ask("a b c d e f g"))
        assert text.split() == ["a", "b", "c"]
        assert answer.calls.usage.completion_tokens == 3


@pytest.mark.parametrize("limits", ["{total_tokens: 5}", "{cost_usd: 0.000001}"])
async def test_budget_too_small_for_any_answer(limits):
    async with motet([ECHO], limits=limits) as found:
        with pytest.raises(BudgetExceeded, match="budget"):
            await read(found, ask())


async def test_budget_is_shared_by_choices():
    async with motet([ECHO], limits="{total_tokens: 20}") as found:
        _, answer = await read(found, ask("a b c d e f g h i j k l m n o p q", n=3))
        # 13 estimated for the prompt leave 7, which is 2 for each of the 3.
        assert answer.calls.usage.completion_tokens == 6


async def test_calls_close_what_a_strategy_left_open():
    async with motet(["{id: a, engine: fake, tokens: [x, y], token_delay_s: 60}"]) as found:
        calls = Calls(found.fleet, Limits())
        await anext(calls.stream("a", ask()))
        await calls.close()
        assert found.fleet["a"].open == 0


@pytest.mark.parametrize(
    ("more", "tokens"),
    [
        ({}, 6),
        ({"n": 2}, 3),
        ({"extra": {"best_of": 3}}, 2),
        ({"extra": {"best_of": 2.5}}, 2),
        ({"extra": {"best_of": "odd"}}, 6),
    ],
)
async def test_whatever_is_generated_counts(more, tokens):
    asked = []

    class Noting:
        card = ExpertCard(id="a", engine="x")

        async def stream(self, request):
            asked.append(request.max_tokens)
            yield Chunk(text="x", finish="stop")

    request = Request(model="a", prompt="hi", **more)
    limits = Limits(total_tokens=6 + request.estimated_tokens)
    calls = Calls({"a": Noting()}, limits)
    async for _ in calls.stream("a", request):
        pass
    assert asked == [tokens]
    await calls.close()
