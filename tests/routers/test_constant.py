"""Always the same expert, and who stands in for it."""

import pytest
from tests.routers.fronts import FLEET, decide

from motet.errors import ConfigError


async def test_constant_without_its_experts():
    routers = "routers: {front: {kind: constant, expert: a}}"
    assert await decide(routers, FLEET.only({"b": 1.0})) is None


async def test_the_first_that_is_there_stands_in():
    routers = "routers: {front: {kind: constant, expert: a, fallbacks: [b, c, a]}}"
    assert (await decide(routers)).experts == ("a", "b", "c")
    found = await decide(routers, FLEET.only({"c": 1.0}))
    assert found.experts == ("c",) and found.reason == "'c' stands in for 'a', 'b'"


@pytest.mark.parametrize(
    ("routers", "message"),
    [
        ("routers: {front: {kind: constant, expert: d}}", "routers.front.expert: no expert 'd'"),
        ("routers: {front: {kind: constant, expert: a, falbacks: [b]}}", "unknown field 'falbacks'. Did you mean 'fallbacks'?"),
    ],
)  # fmt: skip
async def test_bad_constants(routers, message):
    with pytest.raises(ConfigError) as caught:
        await decide(routers)
    assert message in str(caught.value)
    assert "experts.yaml:3" in str(caught.value)
