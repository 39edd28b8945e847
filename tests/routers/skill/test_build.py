"""Profiles from tables."""

import numpy as np
import pytest
from tests.routers.skill import world

from motet.errors import TableError
from motet.routers.skill import lexical
from motet.routers.skill.build import BuildOptions, build, joined
from motet.routers.skill.recruit import standings


def built(table, words=None, **options):
    words = words or [lexical.keywords(query) for query in table.queries]
    encoder = options.pop("encoder", None)
    how = BuildOptions(**options)
    return build(table, words, world.LEXICAL, encoder=encoder, options=how)


def test_counts_are_the_scores_of_the_rows():
    table = world.table(6)
    words = [("even",) if row % 2 == 0 else ("odd", "odd") for row in range(6)]
    profile = built(table, words, least=1)
    right = table.scores[::2].sum(axis=0)
    for column, expert in enumerate(table.experts):
        assert profile.tally("even", expert) == (right[column], 3 - right[column])
    assert sum(profile.tally("odd", "coder")) == 3
    assert sum(profile.overall["coder"]) == 6


def test_a_score_between_counts_in_parts():
    table = world.table(3)
    table.scores[:] = 0.3
    assert built(table, [("x",)] * 3, least=1).tally("x", "coder") == (0.9, 2.1)


def test_the_order_of_rows_is_no_matter():
    table = world.table(60)
    table.scores[:] = np.random.default_rng(1).integers(0, 11, table.scores.shape) / 10
    shuffled = table.take(np.random.default_rng(0).permutation(60))
    one, other = built(table), built(shuffled)
    assert (one.counts, one.overall, one.picks) == (other.counts, other.overall, other.picks)


def test_experts_may_stand_in_any_order():
    table = world.table(60)
    other = built(table.of(table.experts[::-1]))
    one = built(table)
    assert one.counts == other.counts and one.picks == other.picks


def test_it_finds_who_is_good_at_what():
    table = world.table(120)
    profile = built(table)
    for expert, question in world.QUESTIONS.items():
        words = [word for word in lexical.keywords(question) if profile.keyword(word)]
        assert standings(profile, words, profile.experts)[0].expert == expert
    assert sum(profile.pick_shares().values()) == pytest.approx(1)


def test_rare_keywords_are_left_out():
    table = world.table(6)
    profile = built(table, [("often", f"once {row}") for row in range(6)])
    assert set(profile.counts) == {"often"}
    with pytest.raises(TableError, match="no skill keyword stands in 7 of 6 questions"):
        built(table, [("often",)] * 6, least=7)


def test_near_duplicates_are_counted_as_one():
    table = world.table(6)
    words = [("law",), ("statute",), ("law", "statute"), ("law",), ("python",), ("snake",)]
    encoder = world.FakeEncoder()
    profile = built(table, words, encoder=encoder, merge=0.9, least=1)
    assert profile.aliases == {"statute": "law", "snake": "python"}
    assert sum(profile.tally("law", "coder")) == 4
    assert profile.encoder.digest == encoder.digest
    assert built(table, words, encoder=encoder, least=1).aliases == {}


def test_an_expert_that_came_later_is_counted_where_it_was_asked():
    table = world.table(60)
    words = [lexical.keywords(query) for query in table.queries]
    whole = built(table)
    known = built(table.of(("solver", "coder")))
    rows = list(range(0, 60, 2))
    answers = table.of(("jurist",)).take(rows)
    both = joined(known, answers, table, words)
    assert set(both.experts) == set(world.EXPERTS) and set(both.counts) == set(known.counts)
    assert sum(both.overall["jurist"]) == 30 and both.overall["coder"] == known.overall["coder"]
    for word in both.counts:
        asked = sum(word in words[row] for row in rows)
        assert sum(both.tally(word, "jurist")) == asked
        assert both.tally(word, "solver") == known.tally(word, "solver")
    assert both.picks.keys() == whole.picks.keys() and both.picks["jurist"] > 0
    assert len(both.tables) == 2
