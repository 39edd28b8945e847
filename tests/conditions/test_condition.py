"""A rule that could fail is refused before the first request; what a request lacks is no match."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conditions.asks import ask

from motet.conditions.condition import Condition
from motet.errors import ConfigError
from motet.types import Request


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
        (
            "tools.all(a, tools.all(b, tools.all(c, tools.all(d, tools.all(e, true)))))",
            "steps at most",
        ),
        ("tools.all(x, tools.all(y, tools.all(z, x + y + z != 'q')))", "100,000 steps at most"),
        ("chars / (chars - chars) > 1", "division by zero"),
    ],
)
def test_bad_rules_are_refused(rule, message):
    with pytest.raises(ConfigError, match=None) as caught:
        Condition(rule)
    assert message in str(caught.value)


@pytest.mark.parametrize("rule", ["metadata.team.size() > 2", "metadata['team'] < 'x'"])
def test_a_rule_about_what_a_request_lacks_does_not_hold(rule):
    condition = Condition(rule)
    assert not condition.holds(ask())
    assert condition.holds(ask(metadata={"team": "red"}))


@pytest.mark.parametrize(
    "rule",
    [
        "chars / turns > 500",
        "chars % turns > 500",
        "int(metadata.n) * 9000000000000000000 > 5",
        "tools[0] == 'x'",
        "fences[chars] == 'x'",
        "uint(turns - 1) > 1u",
        "int(metadata.n) > 5",
    ],
)
def test_a_rule_that_fails_on_a_request_does_not_hold(rule):
    none, odd = Request(model="m", prompt="hi"), ask(metadata={"n": "9000000000000000000"})
    assert Condition(rule).holds(none) is False
    assert Condition(rule).holds(odd) in (False, True)
    assert Condition(rule).holds(ask(metadata={"n": "9" * 40})) is False or "n" not in rule


def test_the_costliest_rule_that_is_allowed_ends_soon():
    rule = "tools.all(x, tools.all(y, x + y != 'q'))"
    while True:
        try:
            condition = Condition(rule)
        except ConfigError:
            break
        rule = rule.replace("x + y", "x + y + x", 1)
    tools = tuple({"function": {"name": "n" * 10_000 + str(n)}} for n in range(500))
    began = time.process_time()
    assert condition.holds(ask(tools=tools)) in (True, False)
    assert time.process_time() - began < 5


@given(st.text(max_size=40))
def test_any_text_is_a_condition_or_is_refused(source):
    try:
        condition = Condition(source)
    except ConfigError:
        return
    assert condition.holds(ask()) in (True, False)
