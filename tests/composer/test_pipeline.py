"""One request's way, in Python: decisions, fallbacks, budgets, deadlines, cancellation."""

import asyncio
import dataclasses
import time
from contextlib import asynccontextmanager

import pytest

from motet.composer.calls import Calls
from motet.composer.eligibility import eligible, roomy_first
from motet.config import Limits, parse
from motet.errors import (
    BudgetExceeded,
    ContextLengthExceeded,
    DeadlineExceeded,
    ExpertError,
    ExpertRejected,
    ExpertUnavailable,
    MotetError,
    NoExpertAvailable,
    UnknownModel,
    UnsupportedRequest,
)
from motet.service.motet import Motet
from motet.types import (
    Capability,
    Choice,
    Decision,
    ExpertCard,
    Fleet,
    Health,
    Member,
    Request,
    State,
    Usage,
)


@asynccontextmanager
async def motet(experts, rest="", *, order=None, limits="{}"):
    names = order or [line.split("id: ")[1].split(",")[0] for line in experts]
    text = "version: 1\nexperts:\n" + "".join(f"  - {line}\n" for line in experts)
    text += f"routers: {{r: {{kind: constant, expert: {names[0]}, fallbacks: {names[1:]}}}}}\n"
    text += f"compositions: {{auto: {{router: r, limits: {limits}{rest}}}}}\n"
    async with Motet(parse(text.replace("'", ""))) as found:
        await found.fleet.ready()
        await asyncio.sleep(0)
        yield found


def ask(text="one two three", model="auto", **fields):
    return Request(model=model, messages=({"role": "user", "content": text},), **fields)


async def read(found, request):
    async with found.answer(request) as answer:
        return "".join([chunk.text async for chunk in answer]), answer


ECHO = "{id: echo, engine: fake, context: 50, price: {input: 1, output: 2}}"


async def test_chat():
    async with motet([ECHO]) as found:
        reply = await found.chat("auto", "one two", max_tokens=5)
        assert str(reply) == "one two"
        assert reply.usage == Usage(2, 2)
        assert reply.expert == "echo"
        assert reply.explanation["cost_usd"] == pytest.approx(6e-6)


async def test_named_expert():
    async with motet([ECHO, "{id: b, engine: fake, tokens: [hi]}"]) as found:
        text, answer = await read(found, ask(model="b"))
        assert (text, answer.author, answer.decision.router) == ("hi", "b", "direct")


async def test_unknown_model():
    async with motet([ECHO]) as found:
        with pytest.raises(UnknownModel, match="Did you mean 'echo'"):
            async with found.answer(ask(model="ecko")):
                pass


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
            await read(found, ask())


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


async def test_longer_context_takes_over():
    async with motet([ECHO, "{id: roomy, engine: fake, context: 500}"]) as found:
        _, answer = await read(found, ask("word " * 60))
        assert answer.author == "roomy"


async def test_context_of_all_exceeded():
    async with motet([ECHO, "{id: b, engine: fake, context: 20}"]) as found:
        with pytest.raises(ContextLengthExceeded) as caught:
            await read(found, ask("word " * 60))
        assert (caught.value.limit, caught.value.wanted) == (50, 60)


async def test_deadline():
    async with motet(
        ["{id: a, engine: fake, tokens: [x, y], token_delay_s: 60}"], limits="{deadline_s: 0.1}"
    ) as found:
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded, match=r"0\.1 s"):
            await read(found, ask())
        assert time.monotonic() - began < 5
        assert found.fleet["a"].open == 0


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


async def test_leaving_stops_the_expert():
    async with motet(["{id: a, engine: fake, tokens: [x, y], token_delay_s: 60}"]) as found:
        async with found.answer(ask()) as answer:
            assert (await anext(answer)).text == "x"
            assert found.fleet["a"].open == 1
        assert found.fleet["a"].open == 0


async def test_calls_close_what_a_strategy_left_open():
    async with motet(["{id: a, engine: fake, tokens: [x, y], token_delay_s: 60}"]) as found:
        calls = Calls(found.fleet, Limits())
        await anext(calls.stream("a", ask()))
        await calls.close()
        assert found.fleet["a"].open == 0


async def test_foreign_error_is_contained(caplog):
    async with motet([ECHO]) as found:

        async def explode(request):
            raise ZeroDivisionError("secret detail")
            yield

        found.fleet["echo"].stream = explode
        with pytest.raises(MotetError) as caught:
            await read(found, ask())
        assert "secret" not in str(caught.value)
        assert "secret detail" in caplog.text


def member(name, state=State.READY, context=None, capabilities=("chat",)):
    found = frozenset(Capability(c) for c in capabilities)
    card = ExpertCard(id=name, engine="fake", context=context, capabilities=found)
    return Member(card, Health(state, "why"))


def test_eligible_by_capability():
    fleet = Fleet([member("a"), member("b", capabilities=("chat", "tools"))])
    request = ask(tools=({"function": {"name": "f"}},))
    assert list(eligible(request, fleet)) == ["b"]
    with pytest.raises(UnsupportedRequest, match="logprobs"):
        eligible(ask(top_logprobs=1), fleet)
    with pytest.raises(UnsupportedRequest, match="Expert 'a' does not support completions"):
        eligible(Request(model="a", prompt="x"), Fleet([member("a")]))


def test_eligible_by_health():
    fleet = Fleet([member("a", State.DOWN), member("b"), member("c", State.STARTING)])
    assert list(eligible(ask(), fleet)) == ["b"]
    with pytest.raises(NoExpertAvailable, match=r"a is down \(why\)") as caught:
        eligible(ask(), Fleet([member("a", State.DOWN)]))
    assert caught.value.retry_after


def test_context_is_a_preference_not_a_refusal():
    small, large = member("s", context=10), member("l", context=1000)
    request = ask("word " * 40)
    fleet = Fleet([small, large])
    decision = Decision(choices=(Choice("s"), Choice("l")), router="r", reason="because")
    assert roomy_first(request, decision, fleet).experts == ("l", "s")
    assert roomy_first(ask("word"), decision, fleet) is decision
    alone = Decision(choices=(Choice("s"),), router="r", reason="because")
    assert roomy_first(request, alone, fleet) is alone


async def test_direct_call_to_a_sleeping_expert():
    async with motet([ECHO, "{id: b, engine: fake, down: asleep}"]) as found:
        with pytest.raises(NoExpertAvailable, match="asleep"):
            async with found.answer(ask(model="b")):
                pass


def test_request_needs():
    assert ask().needs == {Capability.CHAT}
    assert Capability.JSON_SCHEMA in ask(response_format={"type": "json_schema"}).needs
    assert dataclasses.replace(ask(), n=2).needs == {Capability.CHAT}


def test_unavailable_expert_is_retryable():
    assert ExpertUnavailable("a", "gone").retryable
