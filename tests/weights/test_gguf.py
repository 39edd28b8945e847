"""GGUF files become folders that load, once, whatever happens meanwhile."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from tests.weights.files import write_gguf

from motet.errors import SourceError
from motet.weights import fetch


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
