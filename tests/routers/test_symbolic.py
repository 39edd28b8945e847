"""Rules: what they decide, and what they refuse."""

import subprocess
import sys

import pytest
from tests.asks import NOBODY, setting_of
from tests.conditions.asks import ask
from tests.routers.fronts import decide

from motet.errors import ConfigError
from motet.routers.symbolic import SymbolicConfig, SymbolicRouter
from motet.types import ExpertCard, Fleet, Member

FLEET = Fleet(Member(ExpertCard(id=name, engine="fake")) for name in ("a", "b", "c"))


def router(*rules):
    config = SymbolicConfig.model_validate({"rules": rules})
    return SymbolicRouter("rules", config, setting_of(*FLEET))


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


async def test_a_condition_that_does_not_compile_is_located():
    rules = "[{name: x, when: 'chars >', use: [a]}]"
    with pytest.raises(ConfigError) as caught:
        await decide(f"routers: {{front: {{kind: symbolic, rules: {rules}}}}}")
    assert "routers.front.rules[0].when: the rule does not compile" in str(caught.value)
    assert "experts.yaml:3" in str(caught.value)


def test_languages_are_loaded_before_they_are_asked_for():
    """In a process where nothing has been loaded, by `start` or at the latest by a request."""
    code = """
import asyncio, sys
from tests.routers.test_symbolic import FLEET, NOBODY, ask, router
rules = router({"name": "one", "when": "language == 'en'", "use": ["a"]})
plain = router({"name": "one", "use": ["a"]})
async def main():
    await plain.start()
    assert "py3langid" not in sys.modules
    routing = asyncio.create_task(rules.route(ask("How do I get to the station?"), FLEET, NOBODY))
    await asyncio.sleep(0)  # the request gave way: it waits for a thread
    assert not routing.done()
    assert (await routing).experts == ("a",)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
