"""What a request says of itself, and a fleet of its members."""

import dataclasses

from motet.types import Capability, ExpertCard, Fleet, Member, Price, Request, Usage


def test_what_a_request_needs_of_an_expert():
    chat = {"messages": ({"role": "user", "content": "hi"},)}
    assert Request(model="m", prompt="x").needs == {Capability.COMPLETIONS}
    assert Request(model="m", **chat, top_logprobs=0).needs == {
        Capability.CHAT,
        Capability.LOGPROBS,
    }
    image = ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},)
    assert Capability.VISION in Request(model="m", messages=image).needs


def ask(**fields):
    return Request(model="auto", messages=({"role": "user", "content": "one two three"},), **fields)


def test_request_needs():
    assert ask().needs == {Capability.CHAT}
    assert Capability.JSON_SCHEMA in ask(response_format={"type": "json_schema"}).needs
    assert dataclasses.replace(ask(), n=2).needs == {Capability.CHAT}


def test_what_follows_from_a_fleet_is_found_once_for_each_key():
    fleet, calls = Fleet(Member(ExpertCard(id=name, engine="fake")) for name in "ab"), []

    def names(seen):
        calls.append(seen)
        return list(seen)

    assert fleet.derived("names", names) is fleet.derived("names", names)
    assert calls == [fleet]
    assert fleet.only({"b": 1.0, "gone": 1.0}).derived("names", names) == ["b"]


def test_a_fleet_narrowed_has_the_order_and_the_weights_it_is_given():
    fleet = Fleet(Member(ExpertCard(id=name, engine="fake")) for name in "abc")
    some = fleet.only({"c": 0.5, "a": 1.0})
    assert [(name, member.weight) for name, member in some.items()] == [("c", 0.5), ("a", 1.0)]
    assert "b" not in some and len(some) == 2


def test_cached_tokens_are_billed_as_such_where_they_have_a_price():
    read = Usage(1_000_000, 0, {"prompt_tokens_details": {"cached_tokens": 900_000}})
    assert Price(1.0, 2.0).of(read) == 1.0
    assert Price(1.0, 2.0, 0.1).of(read) == 0.1 + 0.09
    odd = Usage(10, 0, {"prompt_tokens_details": {"cached_tokens": 900}})
    assert Price(1.0, 2.0, 0.0).of(odd) == 0.0
    assert Usage(10, 0, {"prompt_tokens_details": "none"}).cached_tokens == 0
