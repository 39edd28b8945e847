"""Artifacts: what they keep, and what they refuse to be used with."""

import json

import numpy as np
import pytest
from tests.routers.learned import world

from motet.errors import ArtifactError
from motet.routers.learned import Queries
from motet.routers.learned.artifact import Artifact
from motet.routers.learned.decide import Terms
from motet.routers.learned.store import read_manifest, read_state, write

ASKED = world.queries(world.table(60, seed=7))


@pytest.fixture
def folder(tmp_path):
    world.once("knn").save(tmp_path / "router")
    return tmp_path / "router"


def test_what_is_written(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "neighbours.faiss",
        "router.json",
        "state.safetensors",
    ]
    values = json.loads((folder / "router.json").read_text())
    assert values["kind"] == "knn" and values["encoder"]["name"] == "fake"
    assert values["table"]["digest"] == world.table().digest and values["table"]["rows"] == 150
    assert {"motet", "version", "format", "seed", "options", "config_sha256"} <= set(values)


def test_another_version_of_the_kind_is_stale(folder):
    manifest = read_manifest(folder)
    state = read_state(folder, manifest)
    write(folder, manifest.model_copy(update={"version": 7}), state)
    with pytest.raises(ArtifactError, match="trained by version 7 of 'knn', and this is version 1"):
        Artifact.load(folder)


def test_a_foreign_encoder_is_refused():
    artifact = world.once("ridge")
    artifact.check_encoder(world.ENCODER)
    with pytest.raises(ArtifactError, match="is another encoder"):
        artifact.check_encoder(world.FakeEncoder("other weights"))
    with pytest.raises(ArtifactError, match="vectors of 16 numbers of 'fake', and these have 3"):
        artifact.estimate(Queries(embeddings=np.ones((1, 3), np.float32)))


def test_terms_are_kept(tmp_path):
    world.once("ridge").with_terms(Terms(lam=0.25, scale=8e-3)).save(tmp_path / "a")
    terms = Artifact.load(tmp_path / "a").terms
    assert terms.lam == 0.25 and terms.scale == pytest.approx(8e-3)


def test_an_expert_without_data_is_never_chosen(tmp_path):
    artifact = world.once("ridge").add("new")
    estimate = artifact.estimate(ASKED)
    assert np.isnan(estimate.quality[:, 4]).all()
    assert (artifact.decide(estimate).chosen != 4).all()
    assert artifact.explain(ASKED.take(np.array([0])))["without_data"] == ["new"]
    artifact.save(tmp_path / "a")
    assert Artifact.load(tmp_path / "a").experts[-1] == "new"
