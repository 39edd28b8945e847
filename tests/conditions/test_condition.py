"""A rule that could fail is refused before the first request; what a request lacks is no match."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conditions.asks import ask

from motet.conditions.condition import Condition
from motet.errors import ConfigError


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


@pytest.mark.parametrize("rule", ["metadata.team.size() > 2", "metadata['team'] < 'x'"])
def test_a_rule_about_what_a_request_lacks_does_not_hold(rule):
    condition = Condition(rule)
    assert not condition.holds(ask())
    assert condition.holds(ask(metadata={"team": "red"}))


@given(st.text(max_size=40))
def test_any_text_is_a_condition_or_is_refused(source):
    try:
        condition = Condition(source)
    except ConfigError:
        return
    assert condition.holds(ask()) in (True, False)
