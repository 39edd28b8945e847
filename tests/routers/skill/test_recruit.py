"""Who is recruited: chances, the published scores, draws, trimming."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routers.skill import world

from motet.routers.skill.recruit import confidence, recruit, standings, trimmed

WORDS = st.lists(st.sampled_from(["algebra", "python", "law"]), unique=True)


def ranked(*words, counts="beta", **more):
    profile = world.profile(**more)
    return standings(profile, words, profile.experts, counts)


def test_the_best_at_a_skill_leads():
    assert ranked("algebra")[0].expert == "solver"
    assert ranked("python")[0].expert == "coder"
    assert [s.expert for s in ranked("law") if s.weight > 0] == ["jurist"]


def test_without_a_skill_the_chance_is_the_overall_rate():
    found = {s.expert: s.chance for s in ranked()}
    assert found == pytest.approx({"solver": 32 / 62, "coder": 35 / 62, "jurist": 20 / 62})


def test_published_weights_are_l_times_g():
    found = {s.expert: s for s in ranked("algebra", "python", counts="published")}
    assert (found["solver"].score, found["coder"].score, found["jurist"].score) == (16, 24, -38)
    assert found["solver"].weight == pytest.approx(16 * 625 / 1587)
    assert found["jurist"].weight == 0


@given(WORDS, st.permutations(world.EXPERTS))
def test_the_order_of_experts_and_keywords_is_no_matter(words, experts):
    profile = world.profile()
    shuffled = standings(profile, words[::-1], experts)
    plain = standings(profile, words, profile.experts)
    assert [s.expert for s in shuffled] == [s.expert for s in plain]
    assert [s.chance for s in shuffled] == pytest.approx([s.chance for s in plain])


@given(WORDS)
def test_scores_are_bounded(words):
    found = ranked(*words)
    assert all(-1 <= s.score <= 1 and 0 <= s.weight <= 1 and 0 <= s.chance <= 1 for s in found)
    assert 0 <= confidence(found) <= 1


def test_confidence_grows_with_the_gap():
    close = world.profile(counts={"law": {"solver": (11, 9), "coder": (10, 10)}})
    near = standings(close, ["law"], ["solver", "coder"])
    assert 0.5 <= confidence(near) < confidence(ranked("law")) <= 1
    assert confidence(ranked("law")[:1]) == 1


def test_top_takes_the_best_once_each():
    assert recruit(ranked("algebra", "python"), 2) == {"coder": 1, "solver": 1}
    assert recruit(ranked("law"), 3) == {"jurist": 1}


def test_draws_are_with_replacement_and_repeatable():
    found = [recruit(ranked("algebra"), 5, "sample", random=Random(7)) for _ in range(2)]
    assert found[0] == found[1]
    assert sum(found[0].values()) == 5 and set(found[0]) <= {"solver", "coder"}


def test_draws_follow_the_weights():
    standing = ranked("algebra")
    drawn = recruit(standing, 20_000, "sample", random=Random(0))
    whole = sum(s.weight for s in standing)
    for one in standing:
        assert drawn.get(one.expert, 0) / 20_000 == pytest.approx(one.weight / whole, abs=0.02)


def test_the_trimmed_give_way():
    profile = world.profile(picks={"solver": 96, "coder": 4, "jurist": 0})
    assert trimmed(profile, 0.05) == {"coder", "jurist"}
    assert recruit(ranked("algebra"), 3, trim={"coder"}) == {"solver": 1}
    # nobody else may be recruited
    assert recruit(ranked("law"), 3, trim={"jurist"}) == {"jurist": 1}


def test_nobody_is_trimmed_where_no_picks_were_counted():
    assert trimmed(world.profile(picks={}), 0.05) == frozenset()


def test_the_best_leads_alone_where_nobody_is_more_often_right():
    hard = {"counts": {"law": {name: (1, 30) for name in world.EXPERTS}}}
    assert len(recruit(ranked("law", **hard), 3)) == 1
