"""Where the store of a config stands."""

import hashlib

from motet.config import parse
from motet.store.place import StorePlace

FLEET = "version: 1\nexperts: [{id: a, engine: fake}]\n"


def of(tmp_path, store="", name="experts.yaml"):
    return StorePlace.of(parse(FLEET + store, folder=tmp_path, name=name))


def test_a_path_starts_at_the_folder_of_the_config_and_files_stand_beside_it(tmp_path):
    place = of(tmp_path, "store: {path: kept/store.db}")
    assert place.path == tmp_path / "kept" / "store.db"
    assert place.folder == tmp_path / "kept" / "store.db.files"
    assert of(tmp_path, "store: {path: s.db, files: shared}").folder == tmp_path / "shared"


def test_every_config_has_a_place_of_its_own_below_the_folder_for_state(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTET_STATE", str(tmp_path / "state"))
    one, other = of(tmp_path), of(tmp_path, name="other.yaml")
    assert one.path.parent == other.path.parent == tmp_path / "state" and one.path != other.path
    assert of(tmp_path, name=f"{tmp_path}/experts.yaml") == one  # however it was called
    url = of(tmp_path, "store: {url: 'postgresql://u:p@h/d'}")
    assert url.path is None and url.folder.parent == tmp_path / "state"


def test_batches_that_were_kept_below_the_cache_stay_in_use(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTET_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("MOTET_CACHE", str(tmp_path / "cache"))
    name = hashlib.sha256(str(tmp_path / "experts.yaml").encode()).hexdigest()[:16]
    before = tmp_path / "cache" / "batches" / f"{name}.db"
    before.parent.mkdir(parents=True)
    assert of(tmp_path).path.parent == tmp_path / "state"
    before.touch()
    assert of(tmp_path).path == before
    assert of(tmp_path).folder == before.with_name(f"{before.name}.files")


def test_no_password_is_shown(tmp_path):
    secret = "store: {url: 'postgres://motet:hun%2Fter2@db:5432/motet?sslpassword=hunter3'}"
    place = of(tmp_path, secret)
    assert str(place) == "postgresql://db:5432/motet"
    assert "hun" not in repr(place) and "hunter3" not in repr(place)
