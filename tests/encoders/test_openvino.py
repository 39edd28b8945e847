"""An encoder compiled by OpenVINO, beside the same by torch."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from motet.encoders.encoder import DEFAULT_ENCODER, encoder
from motet.encoders.openvino import compiled
from motet.weights import Setting, default_cache, fetch


@pytest.mark.timeout(600)
def test_openvino_says_what_torch_says(tmp_path):
    setting = Setting(tmp_path, default_cache())
    texts = ["a dog barks", "the court dismissed the appeal", "", "word " * 300, "sum the list"]
    plain = encoder(DEFAULT_ENCODER, setting).encode(texts)
    quick = encoder(DEFAULT_ENCODER, setting, backend="openvino")
    assert quick.digest == encoder(DEFAULT_ENCODER, setting).digest and quick.width == 384
    assert (quick.encode(texts) * plain).sum(1).min() > 0.999
    assert not np.array_equal(quick.encode(texts), plain)  # it is not torch that answers
    with ThreadPoolExecutor(4) as threads:
        for row, vectors in enumerate(threads.map(quick.encode, [[text] for text in texts])):
            assert vectors[0] @ plain[row] > 0.999
    # Nothing is reported to anybody.
    assert sys.modules["openvino_telemetry"] is None


WITHOUT_TORCH = """
import sys
from pathlib import Path
from motet.encoders.encoder import DEFAULT_ENCODER, encoder
from motet.weights import Setting
found = encoder(DEFAULT_ENCODER, Setting(Path(), Path(sys.argv[1])), backend="openvino")
assert found.encode(["a dog barks"]).shape == (1, 384)
assert not {"torch", "transformers", "sentence_transformers"} & sys.modules.keys()
"""


@pytest.mark.timeout(600)
def test_a_service_that_encodes_loads_no_torch():
    command = [sys.executable, "-c", WITHOUT_TORCH, default_cache()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(600)
def test_what_is_kept_damaged_is_made_again(tmp_path):
    setting = Setting(tmp_path, default_cache())
    folder = Path(fetch(DEFAULT_ENCODER, setting))
    first = compiled(folder, "0" * 64, tmp_path)
    (kept,) = (tmp_path / "encoders").glob("*-openvino/*.bin")
    kept.unlink()  # the first has it mapped, as a service that runs on has
    kept.write_bytes(b"half a file")
    again = compiled(folder, "0" * 64, tmp_path)
    assert np.array_equal(again.encode(["a dog barks"]), first.encode(["a dog barks"]))


def test_what_no_encoder_can_be_made_of_says_why(tmp_path):
    with pytest.raises(RuntimeError, match="nothing not found"):
        compiled(tmp_path / "nothing", "0" * 64, tmp_path)
    assert not list((tmp_path / "encoders").glob("*-openvino"))
