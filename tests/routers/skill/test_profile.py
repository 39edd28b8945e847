"""Profiles: counts, scores, merges, and what is refused on disk."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.routers.skill import world

from motet.errors import ArtifactError
from motet.routers.learned.store import EncoderRecord, TableRecord
from motet.routers.skill.profile import AnnotatorRecord, Profile

TALLY = st.tuples(st.integers(0, 50), st.integers(0, 50))
WORDS = st.sampled_from(["algebra", "sql", "law", "tort law", "poems"])
COUNTS = st.dictionaries(WORDS, st.dictionaries(st.sampled_from(world.EXPERTS), TALLY))


@st.composite
def profiles(draw):
    counts = draw(COUNTS)
    names = st.sampled_from(["tort", "verse", "maths"])
    aliases = draw(st.dictionaries(names, st.sampled_from(sorted(counts)))) if counts else {}
    return Profile(
        annotator=world.LEXICAL,
        experts=world.EXPERTS,
        counts=counts,
        overall=draw(st.dictionaries(st.sampled_from(world.EXPERTS), TALLY)),
        picks=draw(st.dictionaries(st.sampled_from(world.EXPERTS), st.integers(0, 9))),
        aliases=aliases,
    )


def test_published_scores_are_right_less_wrong():
    profile = world.profile()
    assert profile.score("algebra", "solver", "published") == 18
    assert profile.score("law", "coder", "published") == -16
    # sums 2, 8, -22, shifted by one count over the least: 25, 31, 1
    expected = {"solver": 625, "coder": 961, "jurist": 1}
    found = profile.global_scores("published")
    assert found == pytest.approx({name: square / 1587 for name, square in expected.items()})


def test_an_expert_without_answers_is_taken_for_what_it_is_elsewhere():
    profile = world.profile()
    profile.counts["poems"] = {}
    assert profile.chance("poems", "coder") == pytest.approx(35 / 62)


@settings(max_examples=40)
@given(profiles())
def test_scores_are_bounded(profile):
    for keyword in profile.counts:
        for expert in profile.experts:
            assert 0 < profile.chance(keyword, expert) < 1
            assert -1 < profile.score(keyword, expert) < 1
    for counts in ("beta", "published"):
        found = profile.global_scores(counts)
        assert sum(found.values()) == pytest.approx(1)
        assert all(0 < value <= 1 for value in found.values())


@settings(max_examples=40)
@given(profiles(), profiles())
def test_merge_commutes(one, other):
    assert one.merge(other) == other.merge(one)


@settings(max_examples=40)
@given(profiles(), profiles(), profiles())
def test_merge_is_associative(one, two, three):
    assert one.merge(two).merge(three) == one.merge(two.merge(three))


@settings(max_examples=40)
@given(profiles())
def test_merge_keeps_every_answer(profile):
    def total(found):
        return sum(sum(tally) for row in found.counts.values() for tally in row.values())

    assert total(profile.merge(profile)) == 2 * total(profile)


def test_feedback_kept_apart_adds_up_to_feedback_at_once():
    profile, apart = world.profile(), world.profile().blank()
    merged_before = profile.merge(apart)
    apart.record(["law", "poems"], "coder", right=True)
    profile.record(["law", "poems"], "coder", right=True)
    assert profile.tally("law", "coder") == (3, 18)
    assert profile.tally("poems", "coder") == (1, 0)
    assert profile.overall["coder"] == (35, 26)
    assert merged_before.merge(apart).counts == profile.merge(profile.blank()).counts


def test_feedback_on_a_merged_keyword_counts_for_the_one_it_stands_for():
    profile = world.profile(aliases={"statute": "law"})
    profile.record(["statute", "law"], "jurist", right=False)
    assert profile.tally("law", "jurist") == (18, 3)


def test_keywords_merged_in_either_profile_are_merged_in_both():
    one = world.profile(aliases={"statute": "law"})
    other = world.profile(tables=(), counts={"statute": {"coder": (5, 0)}})
    assert one.merge(other).tally("law", "coder") == (7, 18)


@pytest.mark.parametrize(
    ("keywords", "expert", "message"),
    [
        (["law"], "codr", "no expert 'codr'. Did you mean 'coder'?"),
        (["x" * 21], "coder", "has not 1 to 20 characters"),
        ([""], "coder", "has not 1 to 20 characters"),
    ],
)
def test_bad_feedback_is_refused_and_changes_nothing(keywords, expert, message):
    profile = world.profile()
    with pytest.raises(ArtifactError) as caught:
        profile.record(keywords, expert, right=True)
    assert message in str(caught.value)
    assert profile == world.profile()


def test_aggregator():
    profile = world.profile(synthesis={"solver": (1, 1), "coder": (18, 20), "jurist": (0, 0)})
    assert profile.aggregator(world.EXPERTS) == "coder"  # 19/22 over 2/3
    assert profile.aggregator(["solver", "jurist"]) == "solver"
    assert profile.aggregator(["jurist", "stranger"]) is None
    assert world.profile().aggregator(world.EXPERTS) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotator": AnnotatorRecord(kind="lexical", digest="0")}, "different annotators"),
        ({"encoder": EncoderRecord(name="e", digest="0", width=1)}, "different encoders"),
        ({}, "Both profiles count table t"),
    ],
)
def test_what_cannot_be_merged(change, message):
    with pytest.raises(ArtifactError, match=message):
        world.profile().merge(world.profile(**change))


def test_a_file_holds_it_whole(tmp_path):
    profile = world.profile(synthesis={"coder": (3, 4)}, aliases={"statute": "law"})
    profile.save(tmp_path / "deep" / "p.json")
    assert Profile.load(tmp_path / "deep" / "p.json") == profile
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["p.json"]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot be written"):
        world.profile().save(tmp_path / "file" / "p.json")


def test_a_table_that_has_changed_is_seen():
    world.profile().check_table("d", "t")
    with pytest.raises(ArtifactError, match="stale: it does not count t as it is now"):
        world.profile().check_table("e", "t")


def damaged(change):
    def apply(text):
        values = json.loads(text)
        change(values)
        return json.dumps(values)

    return apply


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "cannot be read as a profile"),
        (lambda text: "[]", "cannot be read as a profile"),
        (lambda text: text.replace("19.0", "20.0", 1), "it is not as it was written"),
        (damaged(lambda values: values.update(format=9)), "stale: it has format 9"),
    ],
)
def test_damaged_files_are_refused(tmp_path, damage, message):
    path = tmp_path / "p.json"
    world.profile().save(path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(ArtifactError, match=message):
        Profile.load(path)


def test_a_missing_file_names_the_nearest(tmp_path):
    world.profile().save(tmp_path / "skills.json")
    with pytest.raises(ArtifactError, match=r"Did you mean 'skills.json'"):
        Profile.load(tmp_path / "skils.json")


@pytest.mark.parametrize(
    "change",
    [
        {"overall": {"stranger": (1, 1)}},
        {"counts": {"x" * 21: {}}},
        {"counts": {"law": {"coder": (-1, 0)}}},
        {"aliases": {"statute": "nothing"}},
        {"synthesis": {"coder": (3, 2)}},
        {"experts": ()},
        {"tables": (TableRecord(name="t", digest="d", rows=1),), "nonsense": 1},
    ],
)
def test_what_makes_no_sense_is_no_profile(change):
    with pytest.raises(ValueError):
        world.profile(**change)
