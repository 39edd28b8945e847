"""Rules: what they see, what they decide, what they refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.asks import NOBODY, setting_of

from motet.conditions.condition import Condition
from motet.conditions.features import FEATURES
from motet.errors import ConfigError
from motet.routers.symbolic import SymbolicConfig, SymbolicRouter
from motet.types import Caller, ExpertCard, Fleet, Member, Request

FLEET = Fleet(Member(ExpertCard(id=name, engine="fake")) for name in ("a", "b", "c"))


def ask(text="hi", **fields):
    return Request(model="auto", messages=({"role": "user", "content": text},), **fields)


def router(*rules):
    config = SymbolicConfig.model_validate({"rules": rules})
    return SymbolicRouter("rules", config, setting_of(*FLEET))


@pytest.mark.parametrize(
    ("rule", "request_", "holds"),
    [
        ("true", ask(), True),
        ("chars > 3", ask("hello"), True),
        ("chars > 30", ask("hello"), False),
        ("turns == 1 && !stream", ask(), True),
        ("has_code", ask("```python\nx = 1\n```"), True),
        ("has_code", ask("see if this, or that; works"), False),
        ("'python' in fences", ask("```Python\nx\n```"), True),
        ("mentions(['SQL', 'join'])", ask("an sql question"), True),
        ("mentions(['sql'])", ask("mysqld is up"), False),
        ("text.matches('(?i)capital of')", ask("the Capital of France"), True),
        ("language == 'de'", ask("Wie komme ich von hier zum Bahnhof, bitte?"), True),
        ("language == 'en'", ask("How do I get to the station from here, please?"), True),
        ("has_tools && 'f' in tools", ask(tools=({"function": {"name": "f"}},)), True),
        ("has_tools", ask(tools=({"function": {"name": "f"}},), tool_choice="none"), False),
        ("wants_json", ask(response_format={"type": "json_object"}), True),
        ("wants_json", ask(response_format={"type": "text"}), False),
        ("metadata.team == 'x'", ask(metadata={"team": "x"}), True),
        ("metadata.team == 'x'", ask(), False),
        ("tenant == 'acme'", ask(caller=Caller(tenant="acme")), True),
        ("tenant == 'acme'", ask(metadata={"tenant": "acme"}), False),
        ("user == 'u1' || max_tokens > 5", ask(max_tokens=6), True),
        ("tools.exists(t, t.startsWith('get_'))", ask(tools=({"function": {"name": "get_x"}},)), True),
        ("system.contains('terse')", Request(model="m", messages=({"role": "system", "content": "be terse"},)), True),
        ("last == 'b'", Request(model="m", messages=({"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "b"}]})), True),
        ("text == 'once upon'", Request(model="m", prompt="once upon"), True),
        ("has_images", Request(model="m", messages=({"role": "user", "content": [{"type": "image_url", "image_url": {}}]},)), True),
    ],
)  # fmt: skip
def test_features(rule, request_, holds):
    assert Condition(rule).holds(request_) is holds


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("chars >", "does not compile at character 8"),
        ("chras > 3", "unknown name 'chras' in a rule. Did you mean 'chars'?"),
        ("chars", "gives true or false, but this one gives int"),
        ("text.matches('(')", "not a valid regex"),
        ("launch('x')", "Undefined variable or function: 'launch'"),
        ("chars > 'a'", "the rule fails"),
        ("mentions([])", "names no word"),
        ("text == '" + "x" * 2000 + "'", "2000 characters"),
        ("tools.all(a, tools.all(b, tools.all(c, tools.all(d, tools.all(e, true)))))", "4 macros"),
    ],
)
def test_bad_rules_are_refused(rule, message):
    with pytest.raises(ConfigError, match=None) as caught:
        Condition(rule)
    assert message in str(caught.value)


@given(st.text(max_size=300))
def test_every_feature_reads_any_text(text):
    for name, (read, _) in FEATURES.items():
        if name != "language":  # a model of its own, tried above
            read(ask(text))
            read(Request(model="m", prompt=text))


def test_long_text_is_cut():
    assert len(FEATURES["text"][0](ask("x" * 10**6))) < 70_000


async def test_first_match_wins():
    rules = router(
        {"name": "one", "when": "chars > 99", "use": ["a"]},
        {"name": "two", "use": ["c", "b"]},
        {"name": "three", "use": ["a"]},
    )
    decision = await rules.route(ask(), FLEET, NOBODY)
    assert decision.experts == ("c", "b")
    assert decision.settled
    assert "two" in decision.reason


async def test_no_match_is_no_decision():
    assert (
        await router({"name": "one", "when": "false", "use": ["a"]}).route(ask(), FLEET, NOBODY)
        is None
    )


@pytest.mark.parametrize(
    ("action", "experts"),
    [
        ({"allow": ["b", "a"]}, ("b", "a")),
        ({"deny": ["b"]}, ("a", "c")),
        ({"weigh": {"c": 3, "a": 0.5}}, ("c", "b", "a")),
    ],
)
async def test_narrowing(action, experts):
    decision = await router({"name": "n", **action}).route(ask(), FLEET, NOBODY)
    assert decision.experts == experts
    assert not decision.settled


async def test_a_pin_on_absent_experts_is_passed_over():
    rules = router({"name": "one", "use": ["c"]}, {"name": "two", "use": ["a"]})
    decision = await rules.route(ask(), FLEET.only({"a": 1.0, "b": 1.0}), NOBODY)
    assert decision.experts == ("a",)


def test_rule_refers_to_known_experts():
    with pytest.raises(ConfigError, match="no expert 'd'"):
        router({"name": "one", "use": ["d"]})


@pytest.mark.parametrize("actions", [{}, {"use": ["a"], "deny": ["b"]}])
def test_exactly_one_action(actions):
    with pytest.raises(ValueError, match="exactly one action"):
        router({"name": "one", **actions})
