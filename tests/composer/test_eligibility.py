"""Who may answer a request: by what it needs, by health, and by room."""

import pytest
from tests.composer.helpers import ask

from motet.composer.eligibility import eligible, roomy_first
from motet.errors import NoExpertAvailable, UnsupportedRequest
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
)


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


def test_who_is_eligible_is_found_once_for_a_fleet_and_what_is_needed():
    fleet = Fleet([member("a"), member("b", capabilities=("chat", "completions"))])
    assert eligible(ask("one"), fleet) is eligible(ask("two"), fleet)
    assert list(eligible(Request(model="auto", prompt="x"), fleet)) == ["b"]
    later = Fleet([member("a", State.DOWN), member("b")])
    assert list(eligible(ask("one"), later)) == ["b"]


def test_context_is_a_preference_not_a_refusal():
    small, large = member("s", context=10), member("l", context=1000)
    request = ask("word " * 40)
    fleet = Fleet([small, large])
    decision = Decision(choices=(Choice("s"), Choice("l")), router="r", reason="because")
    assert roomy_first(request, decision, fleet).experts == ("l", "s")
    assert roomy_first(ask("word"), decision, fleet) is decision
    alone = Decision(choices=(Choice("s"),), router="r", reason="because")
    assert roomy_first(request, alone, fleet) is alone


def test_experts_that_are_down_for_one_reason_are_told_together():
    fleet = Fleet([member(name, State.DOWN) for name in ("a", "b")] + [member("c", State.STARTING)])
    with pytest.raises(NoExpertAvailable, match=r"a, b are down \(why\); c is starting \(why\)\."):
        eligible(ask(), fleet)
