"""Members' scores as one, and what a label costs each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.moderation.ensembles import Ensembles, combined, losses
from motet.moderation.hedge import Hedge

SCORE = st.floats(0, 1)


@given(st.dictionaries(st.sampled_from("abc"), st.fixed_dictionaries({"hate": SCORE, "sex": SCORE}), min_size=1), SCORE)  # fmt: skip
def test_a_mean_lies_between_its_members(scores, weight):
    weights = {"a": weight, "b": 1 - weight, "c": 0.0}
    verdict = combined(scores, weights, 0.5)
    for category, score in verdict.scores.items():
        said = [each[category] for each in scores.values()]
        assert min(said) - 1e-9 <= score <= max(said) + 1e-9
    assert verdict.flagged == any(score >= 0.5 for score in verdict.scores.values())


def test_who_is_absent_is_made_good_by_the_others():
    scores = {"a": {"hate": 0.2}, "b": {"hate": 0.8}}
    assert combined(scores, {"a": 0.25, "b": 0.25, "c": 0.5}, 0.5).scores["hate"] == 0.5
    assert combined({"a": {"hate": 1.0}}, {"a": 0.0, "c": 1.0}, 0.5).categories == ("hate",)


def test_losses_are_how_far_scores_are_from_what_is_so():
    scores = {"a": {"hate": 0.9, "sex": 0.2}, "b": {"hate": 0.0}}
    assert losses(scores, {"hate": True, "sex": False}) == pytest.approx({"a": 0.15, "b": 0.5})


def test_what_was_learned_outlives_a_config():
    ensembles = Ensembles()
    ensembles.begin("guard", Hedge(("a", "b"), 1.0))
    taught = Hedge(("a", "b"), 1.0)
    taught.learn({"a": 0.0, "b": 1.0})
    ensembles.take("guard", taught.json())
    ensembles.take("gone", taught.json())
    after = Ensembles(ensembles)
    after.begin("guard", Hedge(("a", "b", "c"), 1.0))
    # The old config goes on with its own members while it has answers under way.
    assert ensembles.hedge("guard").json() == taught.json()
    weights = after.hedge("guard").weights
    assert weights["a"] > weights["c"] > weights["b"] and after.heard is ensembles.heard
