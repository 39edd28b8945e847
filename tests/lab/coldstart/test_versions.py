"""Versions stand beside each other, and none is written over."""

from pathlib import Path

import pytest

from motet.lab.coldstart.versions import next_version, versions


@pytest.mark.parametrize(
    ("name", "there", "then"),
    [
        ("auto", [], "auto@2"),
        ("auto", ["auto", "auto@2", "auto@7", "automat@9"], "auto@8"),
        ("auto@2", ["auto", "auto@2", "auto@7.tmp"], "auto@3"),
        ("auto@x", ["auto@x"], "auto@x@2"),
        ("v1.5", ["v1.5", "v1.5@2"], "v1.5@3"),
        ("skills.json", ["skills.json"], "skills@2.json"),
        ("skills@2.json", ["skills.json", "skills@4.json", "skills@9"], "skills@5.json"),
    ],
)
def test_the_next_is_free(tmp_path, name, there, then):
    for other in there:
        (tmp_path / other).touch()
    assert next_version(tmp_path / name) == tmp_path / then


def test_all_that_are_there(tmp_path):
    for name in ("auto", "auto@2", "auto@3.json", "other"):
        (tmp_path / name).mkdir()
    assert {path.name for path in versions(tmp_path / "auto@2")} == {"auto", "auto@2"}
    assert list(versions(Path("nowhere") / "auto")) == []
