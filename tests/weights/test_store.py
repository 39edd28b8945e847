"""A folder of the cache is whole or absent, however its making ends."""

import logging

import pytest

from motet.errors import SourceError
from motet.progress import silent
from motet.weights.store import MANIFEST, build_once


def test_build_once_and_damage(tmp_path, caplog):
    built = []

    def build(folder):
        built.append(folder)
        (folder / "sub").mkdir()
        (folder / "sub" / "data").write_text("precious")

    place = tmp_path / "cache" / "thing"
    stale = tmp_path / "cache" / ".thing.abc.tmp"
    stale.mkdir(parents=True)
    assert build_once(place, "one", build, silent) == place
    assert not stale.exists()
    build_once(place, "one", build, silent)
    assert len(built) == 1
    for damage in (
        lambda: (place / "sub" / "data").write_text("spoilt"),
        lambda: (place / "sub" / "data").unlink(),
        lambda: (place / MANIFEST).write_text("{"),
        lambda: (place / MANIFEST).unlink(),
    ):
        damage()
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            build_once(place, "one", build, silent)
        assert "is damaged" in caplog.text
        assert (place / "sub" / "data").read_text() == "precious"
    build_once(place, "another source", build, silent)
    assert len(built) == 6


def test_a_failed_build_leaves_nothing(tmp_path):
    def build(folder):
        (folder / "half").touch()
        raise SourceError("no")

    with pytest.raises(SourceError):
        build_once(tmp_path / "thing", "x", build, silent)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
