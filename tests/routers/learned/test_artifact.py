"""Artifacts on disk: whole, refused when damaged, stale or foreign."""

import json

import numpy as np
import pytest
from tests.routers.learned import world

from motet.errors import ArtifactError
from motet.routers.learned import Queries
from motet.routers.learned.artifact import Artifact
from motet.routers.learned.decide import Terms


@pytest.fixture
def folder(tmp_path):
    world.once("knn").save(tmp_path / "router")
    return tmp_path / "router"


def edit(folder, change):
    path = folder / "router.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


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


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "router.json").unlink(), "holds no router.json.*motet router train"),
        (lambda f: (f / "router.json").write_text("{"), "damaged: router.json cannot be read"),
        (lambda f: (f / "router.json").write_text("[]"), "damaged: router.json cannot be read"),
        (lambda f: (f / "state.safetensors").unlink(), "damaged: state.safetensors is missing"),
        (lambda f: (f / "state.safetensors").write_bytes(b"x"), "damaged: state.safetensors has 1 bytes"),
        (lambda f: flip(f / "neighbours.faiss"), "damaged: neighbours.faiss has changed"),
        (lambda f: edit(f, lambda v: v.update(format=99)), "stale: it has format 99, this Motet reads 1"),
        (lambda f: edit(f, lambda v: v.update(seed=5)), "damaged: router.json is not as it was written"),
        (lambda f: edit(f, lambda v: v["experts"].pop()), "not as it was written"),
    ],
)  # fmt: skip
def test_damage_is_refused(folder, damage, message):
    damage(folder)
    with pytest.raises(ArtifactError) as caught:
        Artifact.load(folder)
    import re

    assert re.search(message, str(caught.value))


def flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_another_version_of_the_kind_is_stale(folder, monkeypatch):
    from motet.routers.learned.kinds.knn import Neighbours

    monkeypatch.setattr(Neighbours, "version", 2)
    with pytest.raises(ArtifactError, match="trained by version 1 of 'knn', and this is version 2"):
        Artifact.load(folder)


def test_no_folder(tmp_path):
    with pytest.raises(ArtifactError, match="it is no folder"):
        Artifact.load(tmp_path / "nothing")


def test_a_foreign_encoder_is_refused():
    artifact = world.once("ridge")
    artifact.check_encoder(world.ENCODER)
    with pytest.raises(ArtifactError, match="is another encoder"):
        artifact.check_encoder(world.FakeEncoder("other weights"))
    with pytest.raises(ArtifactError, match="vectors of 16 numbers of 'fake', and these have 3"):
        artifact.estimate(Queries(embeddings=np.ones((1, 3), np.float32)))


def test_saving_replaces_an_artifact_and_nothing_else(folder, tmp_path):
    world.once("ridge").save(folder)
    assert Artifact.load(folder).kind == "ridge"
    assert not (folder / "neighbours.faiss").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["router"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(ArtifactError, match="holds no artifact"):
        world.once("ridge").save(tmp_path / "mine")


def test_terms_are_kept(tmp_path):
    world.once("ridge").with_terms(Terms(lam=0.25, scale=8e-3)).save(tmp_path / "a")
    terms = Artifact.load(tmp_path / "a").terms
    assert terms.lam == 0.25 and terms.scale == pytest.approx(8e-3)
