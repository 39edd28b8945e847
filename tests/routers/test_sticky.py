"""A conversation stays with its expert until another is worth a cold prompt cache."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.asks import NOBODY, setting_of

from motet.errors import ConfigError
from motet.routers.base import Router
from motet.routers.sticky import StickyConfig, StickyRouter
from motet.types import Choice, Decision, ExpertCard, Fleet, Member, Past, Price, Request

PRICES = {"a": Price(1.0, 2.0, 0.1), "b": Price(3.0, 6.0, 0.3), "c": Price()}


class Says(Router):
    """Decides what it is told to."""

    def __init__(self, decision):
        super().__init__("inner", None, None)
        self.decision = decision

    async def route(self, request, fleet, calls):
        return self.decision


def decided(**qualities):
    ranked = sorted(qualities, key=lambda name: -(qualities[name] or 0.0))
    choices = tuple(Choice(name, quality=qualities[name]) for name in ranked)
    return Decision(choices=choices, router="inner", reason="so it says", confidence=0.4)


def fleet(*names):
    return Fleet(Member(ExpertCard(id=n, engine="fake", price=PRICES[n])) for n in names or "abc")


def asked(past, words=0, **fields):
    answer = {"role": "assistant", "content": "x" * 4 * words}
    messages = ({"role": "user", "content": "go"}, answer, {"role": "user", "content": "and now?"})
    return Request(model="m", messages=messages, past=past, **fields)


async def route(decision, past, of=None, words=0, messages=None, **options):
    setting = setting_of("a", "b", "c", router=lambda name: Says(decision))
    router = StickyRouter("sticky", StickyConfig(of="inner", **options), setting)
    request = asked(past, words)
    if messages is not None:
        request = Request(model="m", messages=messages, past=past)
    return await router.route(request, of or fleet(), NOBODY)


A = Past(expert="a", messages=1)


async def test_a_new_conversation_is_decided_by_the_router_behind():
    decision = decided(a=0.5, b=0.6)
    assert await route(decision, Past()) is decision


async def test_it_stays_within_the_margin_and_says_why():
    found = await route(decided(a=0.58, b=0.6), A)
    assert found.experts == ("a", "b") and found.router == "sticky"
    assert "stays with 'a': 'b' is expected 0.02 better than 'a'" in found.reason
    assert "a switch needs 0.05" in found.reason and "so it says" in found.reason


async def test_it_leaves_for_a_gain_over_the_margin():
    found = await route(decided(a=0.3, b=0.6), A)
    assert found.primary == "b" and "0.30 better than 'a'" in found.reason


async def test_a_long_conversation_is_dearer_to_leave():
    # 10,000 tokens: 3.0 - 0.1 USD a million are 0.029 USD, three right answers.
    assert (await route(decided(a=0.3, b=0.6), A, words=10_000)).primary == "a"
    assert (await route(decided(a=0.3, b=0.6), A, words=10_000, worth_usd=1.0)).primary == "b"
    assert (await route(decided(a=0.3, c=0.6), A, words=10_000)).primary == "c"  # which is free


async def test_who_is_down_or_no_choice_is_left():
    found = await route(decided(b=0.6, c=0.1), A, of=fleet("b", "c"))
    assert found.primary == "b" and "'a', which answered before, cannot now" in found.reason
    found = await route(decided(b=0.6, c=0.1), A)
    assert found.primary == "b" and "none of the choices now" in found.reason


async def test_a_router_without_estimates_is_believed_as_far_as_it_is_sure():
    unsure = decided(b=None, a=None)
    assert (await route(unsure, A)).primary == "b"
    assert (await route(unsure, A, margin=0.5)).primary == "a"


async def test_where_the_router_decides_nothing_it_stays():
    assert (await route(None, A)).primary == "a"
    assert await route(None, A, of=fleet("b")) is None
    assert await route(None, Past()) is None


ERRORS = tuple(
    message
    for number in range(3)
    for message in (
        {"role": "assistant", "tool_calls": [{"function": {"name": "t", "arguments": number}}]},
        {"role": "tool", "content": "Error: no"},
    )
)
LATCH = {"when": "tool_errors_in_a_row >= 3", "expert": "b"}


async def test_trouble_moves_a_conversation_up_for_good():
    trouble = ({"role": "user", "content": "go"}, *ERRORS)
    found = await route(decided(a=0.9, b=0.1), A, latch=LATCH, messages=trouble)
    assert found.primary == "b" and found.latched and "for good" in found.reason
    found = await route(decided(a=0.9, b=0.1), Past(expert="b", latched="b"), latch=LATCH)
    assert found.primary == "b" and found.latched
    found = await route(decided(a=0.9), Past(expert="b", latched="b"), of=fleet("a"), latch=LATCH)
    assert found.primary == "a" and not found.latched


@pytest.mark.parametrize(
    ("latch", "problem"),
    [
        ({"when": "true", "expert": "d"}, "no expert 'd'"),
        ({"when": "tool_erors > 1", "expert": "b"}, "Did you mean 'tool_errors'"),
    ],
)
async def test_a_latch_is_checked(latch, problem):
    with pytest.raises(ConfigError, match=problem):
        await route(None, A, latch=latch)


@given(
    st.dictionaries(st.sampled_from("abc"), st.floats(0, 1), min_size=1),
    st.sampled_from(["", "a", "b", "c"]),
    st.floats(0, 1),
    st.integers(0, 5000),
)
async def test_all_choices_stay_and_no_switch_loses(qualities, held, margin, words):
    decision = decided(**qualities)
    found = await route(decision, Past(expert=held), margin=margin, words=words)
    assert set(decision.experts) <= set(found.experts) | {held}
    if held in qualities and found.primary != held:
        assert qualities[found.primary] - qualities[held] > margin
