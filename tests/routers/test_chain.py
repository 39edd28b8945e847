"""Chains ask in order, narrow, and fall back."""

import pytest
from tests.routers.fronts import decide

from motet.errors import ArtifactError, ConfigError
from motet.routers import ROUTERS
from motet.routers.base import Router

NO = "{kind: symbolic, rules: [{name: never, when: 'false', use: [a]}]}"
DENY = "{kind: symbolic, rules: [{name: not a, deny: [a]}]}"


async def test_first_that_knows():
    found = await decide(
        f"routers: {{no: {NO}, c: {{kind: constant, expert: c}}, front: {{kind: chain, of: [no, c]}}}}"
    )
    assert found.experts == ("c",)


async def test_narrowing_binds_later_routers():
    found = await decide(
        f"routers: {{deny: {DENY}, a: {{kind: constant, expert: a, fallbacks: [c]}}, "
        "front: {kind: chain, of: [deny, a]}}"
    )
    assert found.experts == ("c",)
    assert "not a" in found.reason and "stands in" in found.reason


async def test_narrowed_field_decides_when_nothing_else_does():
    found = await decide(
        f"routers: {{deny: {DENY}, front: {{kind: chain, of: [deny], fallback: a}}}}"
    )
    assert found.experts == ("b", "c")


async def test_fallback():
    found = await decide(f"routers: {{no: {NO}, front: {{kind: chain, of: [no], fallback: b}}}}")
    assert found.experts == ("b",)
    assert found.confidence == 0


async def test_nobody_knows():
    assert await decide(f"routers: {{no: {NO}, front: {{kind: chain, of: [no]}}}}") is None


@pytest.mark.parametrize(
    ("routers", "message"),
    [
        ("routers: {front: {kind: chain, of: [font]}}", "no router 'font'. Did you mean 'front'?"),
        ("routers: {front: {kind: chain, of: [x]}, x: {kind: chain, of: [front]}}", "in a circle: front -> x -> front"),
        ("routers: {front: {kind: chain, of: [], fallback: a}}", "at least 1 item"),
        ("routers: {front: {kind: chian, of: [a]}}", "routers.front.kind: unknown router 'chian'. Did you mean 'chain'?"),
    ],
)  # fmt: skip
async def test_bad_chains(routers, message):
    with pytest.raises(ConfigError) as caught:
        await decide(routers)
    assert message in str(caught.value)
    assert "experts.yaml:3" in str(caught.value)


class Broken(Router):
    """Cannot load what it needs."""

    async def route(self, request, fleet, calls):
        raise ArtifactError("the artifact is damaged.")


class Odd(Router):
    """Fails in a way of its own."""

    async def route(self, request, fleet, calls):
        raise ZeroDivisionError("of its own")


ROUTERS.register("broken", Broken)
ROUTERS.register("odd", Odd)


BROKEN = "bad: {kind: broken}, c: {kind: constant, expert: c}"


async def test_a_router_that_fails_is_passed_over_and_named(caplog):
    found = await decide(f"routers: {{{BROKEN}, front: {{kind: chain, of: [bad, c]}}}}")
    assert found.experts == ("c",)
    assert "router 'bad' failed: the artifact is damaged." in found.reason
    assert "passes over bad" in caplog.text


async def test_a_failure_is_named_beside_the_fallback():
    found = await decide(f"routers: {{{BROKEN}, front: {{kind: chain, of: [bad], fallback: b}}}}")
    assert found.experts == ("b",) and "router 'bad' failed" in found.reason


async def test_a_failure_is_named_beside_a_narrowed_field():
    found = await decide(
        f"routers: {{{BROKEN}, deny: {DENY}, front: {{kind: chain, of: [deny, bad]}}}}"
    )
    assert found.experts == ("b", "c") and "router 'bad' failed" in found.reason


async def test_a_failure_is_raised_when_nobody_is_left():
    with pytest.raises(ArtifactError, match="damaged"):
        await decide(f"routers: {{{BROKEN}, front: {{kind: chain, of: [bad]}}}}")


async def test_a_router_that_fails_in_its_own_way_is_passed_over_too(caplog):
    found = await decide(
        "routers: {bad: {kind: odd}, front: {kind: chain, of: [bad], fallback: b}}"
    )
    assert found.experts == ("b",) and "router 'bad' failed" in found.reason
    assert "of its own" in caplog.text and "of its own" not in found.reason
