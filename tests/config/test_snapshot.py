"""Configs that were in place, kept for going back."""

import stat

import pytest

from motet.config import parse
from motet.config import snapshot as module
from motet.config.snapshot import Snapshots
from motet.errors import NotFound


def test_each_config_is_kept_once_and_numbered(tmp_path):
    snapshots = Snapshots(tmp_path / "configs")
    assert snapshots.listing() == []
    assert [snapshots.add(text).number for text in ("one", "one", "two", "one")] == [1, 1, 2, 3]
    assert [(each.number, each.text) for each in snapshots.listing()] == [
        (3, "one"), (2, "two"), (1, "one"),
    ]  # fmt: skip
    assert snapshots.get(2).text == "two"
    with pytest.raises(NotFound, match="'9'"):
        snapshots.get(9)


def test_nobody_else_reads_them_and_only_so_many_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 3)
    snapshots = Snapshots(tmp_path / "configs")
    for number in range(12):
        snapshots.add(str(number))
    assert [each.text for each in snapshots.listing()] == ["11", "10", "9"]
    paths = [tmp_path / "configs", *(tmp_path / "configs").iterdir()]
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in paths)


def test_two_files_have_two_places(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTET_STATE", str(tmp_path))
    text = "version: 1\nexperts: [{id: a, engine: fake}]\n"
    one, other = (parse(text, name=name, folder=tmp_path) for name in ("a.yaml", "b.yaml"))
    Snapshots.of(one).add("x")
    assert len(Snapshots.of(one).listing()) == 1 and Snapshots.of(other).listing() == []
