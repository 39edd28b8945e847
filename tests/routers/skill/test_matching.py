"""A question's keywords as those of a profile: equal ones, then near ones, where one looks."""

import numpy as np
import pytest
from tests.routers.skill import world

from motet.routers.skill.matching import Match, Matcher


def embedding(asked):
    encoder = world.FakeEncoder()

    async def embed(text):
        asked.append(text)
        return encoder.encode([text])[0]

    return embed


async def test_without_an_encoder_equal_and_merged_keywords_match():
    matcher = Matcher(world.profile(aliases={"statute": "law"}))
    found = await matcher.match(["python", "statute", "haiku"])
    assert found == [Match("python", "python"), Match("statute", "law")]


async def test_a_near_one_is_found_above_the_floor_and_each_keyword_once():
    asked = []
    matcher = Matcher(world.profile(), embedding(asked), floor=0.9)
    found = await matcher.match(["snake", "python", "haiku"])
    assert [match.keyword for match in found] == ["python"]
    (near,) = await matcher.match(["snake"])
    assert (near.keyword, near.likeness) == ("python", pytest.approx(1.0, abs=1e-3))
    assert str(near) == "python (for 'snake', 1.00)"
    anyone = Matcher(world.profile(), embedding([]), floor=-1.0)
    assert np.shape(await anyone.match(["haiku"])) == (1,)


async def test_sparing_asks_only_where_nothing_is_equal():
    asked = []
    matcher = Matcher(world.profile(), embedding(asked), sparing=True)
    assert [m.keyword for m in await matcher.match(["law", "snake"])] == ["law"]
    assert not asked
    await matcher.match(["snake"])
    assert sorted(asked) == ["algebra", "law", "python", "snake"]
