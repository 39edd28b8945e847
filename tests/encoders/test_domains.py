"""Expert encoders on one base: kept whole, refused when stale, and nearest on average."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routers.learned import world

from motet.encoders.domains import Domains, domain_facts
from motet.errors import ArtifactError


def domains(seed=0, names=("law", "sea"), width=world.WIDTH):
    random = np.random.default_rng(seed)
    centroids = random.normal(size=(len(names), 3, width)).astype(np.float32)
    centroids /= np.linalg.norm(centroids, axis=2, keepdims=True)
    down = random.normal(size=(len(names), width, 2)).astype(np.float32)
    up = random.normal(size=(len(names), 2, width)).astype(np.float32)
    base = world.ENCODER
    return Domains(base.name, base.digest, names, centroids, down, up, {"rank": 2})


def test_what_is_saved_is_loaded(tmp_path):
    made = domains()
    digest = made.save(tmp_path / "d")
    read = Domains.load(tmp_path / "d")
    assert domain_facts(tmp_path / "d")["sha256"] == digest
    assert (read.names, read.about, read.digest) == (made.names, made.about, made.digest)
    for name in ("centroids", "down", "up"):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))


def test_another_encoder_is_refused():
    domains().check(world.ENCODER)
    with pytest.raises(ArtifactError, match="is another encoder"):
        domains().check(world.FakeEncoder("other"))


@given(st.integers(0, 50))
def test_nearness_is_the_mean_cosine_to_the_centroids(seed):
    made = domains(seed)
    vectors = world.ENCODER.encode(["contract court", "rope sail", ""])
    expected = [
        [np.mean([vector @ c for c in made.centroids[d]]) for d in range(2)] for vector in vectors
    ]
    np.testing.assert_allclose(made.nearness(vectors), expected, atol=1e-5)
    chances = made.chances(vectors)
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(chances.argmax(axis=1), made.nearness(vectors).argmax(axis=1))


@given(st.integers(0, 50), st.integers(0, 1))
def test_turned_vectors_have_length_one_and_do_not_depend_on_their_batch(seed, domain):
    made = domains(seed)
    vectors = world.ENCODER.encode(["a", "b c", "d"])
    turned = made.turned(vectors, domain)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(made.turned(vectors[1:2], domain)[0], turned[1], atol=1e-5)
