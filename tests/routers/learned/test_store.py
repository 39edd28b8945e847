"""Artifacts on disk: whole, and refused when damaged, edited or foreign."""

import json
import re

import pytest
from tests.routers.learned import world

from motet.errors import ArtifactError
from motet.routers.learned.artifact import Artifact


@pytest.fixture
def folder(tmp_path):
    world.once("knn").save(tmp_path / "router")
    return tmp_path / "router"


def edit(folder, change):
    path = folder / "router.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


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
    assert re.search(message, str(caught.value))


def flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_no_folder(tmp_path):
    with pytest.raises(ArtifactError, match="it is no folder"):
        Artifact.load(tmp_path / "nothing")


def test_saving_replaces_an_artifact_and_nothing_else(folder, tmp_path):
    world.once("ridge").save(folder)
    assert Artifact.load(folder).kind == "ridge"
    assert not (folder / "neighbours.faiss").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["router"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(ArtifactError, match="holds no artifact"):
        world.once("ridge").save(tmp_path / "mine")
