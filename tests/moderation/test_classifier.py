"""The small classifier: what it reads, and what is kept of it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routers.learned import world

from motet.errors import ArtifactError
from motet.moderation.classifier import (
    SHIPPED,
    TextClassifier,
    classifier_facts,
    features,
    place_of,
)


@given(st.text(max_size=60), st.sampled_from(["words", "letters"]))
def test_a_text_is_a_vector_of_length_one_or_nothing(text, reads):
    buckets, values = features(text, reads, 512)
    assert all(0 <= bucket < 512 for bucket in buckets) and len(set(buckets)) == len(buckets)
    assert not values or math.isclose(sum(value**2 for value in values), 1, rel_tol=1e-6)


def test_letters_that_look_alike_are_alike():
    said = [features(text, "words", 512) for text in ("kill Him", "KILL him", "ｋｉｌｌ 𝓱𝓲𝓶")]  # noqa: RUF001
    assert said[0] == said[1] == said[2]


def made(**more):
    random = np.random.default_rng(0)
    weights = random.normal(size=(64, 2)).astype(np.float16).astype(np.float32)
    return TextClassifier(
        ("hate", "violence"), "words", weights, np.zeros(2, np.float32), {"texts": 3}, **more
    )


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_a_score_does_not_depend_on_who_shares_its_batch(texts):
    together = made().scores(texts)
    alone = np.concatenate([made().scores([text]) for text in texts])
    np.testing.assert_array_equal(together, alone)
    assert ((together >= 0) & (together <= 1)).all()


def test_what_is_saved_is_loaded(tmp_path):
    made().save(tmp_path / "c")
    read = TextClassifier.load(tmp_path / "c")
    np.testing.assert_array_equal(read.scores(["a b", ""]), made().scores(["a b", ""]))
    assert (read.categories, read.reads, read.card) == (("hate", "violence"), "words", {"texts": 3})


def test_another_encoder_is_refused():
    of = made(encoder={"name": "fake", "digest": world.ENCODER.digest})
    of.check(world.ENCODER)
    with pytest.raises(ArtifactError, match="is another encoder"):
        of.check(world.FakeEncoder("other"))


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_is_whole_and_says_how_good_it_is(name, tmp_path):
    folder = place_of(name, tmp_path)
    facts = classifier_facts(folder)
    assert TextClassifier.load(folder).categories == tuple(facts["categories"])
    assert set(facts["card"]["unread"]) == {"accuracy", "precision", "recall", "categories"}
    assert sum(file.stat().st_size for file in folder.iterdir()) < 150_000
    if name != "meaning":
        said = ["I want to kill my boss.", "Can you help me to learn the guitar?"]
        angry, kind = TextClassifier.load(folder).scores(said)
        assert angry[facts["categories"].index("violence")] > 0.5 > kind.max()
