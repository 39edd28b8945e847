"""Sizes of weights, read from headers."""

import pytest

from motet.errors import SourceError
from motet.weights import Setting
from motet.weights.sizes import available_memory, weight_bytes

numpy = pytest.importorskip("numpy")
safetensors = pytest.importorskip("safetensors.numpy")


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    one = {"a": numpy.zeros((5, 123), numpy.float16), "b": numpy.zeros((7,), numpy.float32)}
    safetensors.save_file(one, folder / "model-1.safetensors", {"format": "pt"})
    safetensors.save_file({"c": numpy.zeros((), numpy.int8)}, folder / "model-2.safetensors")
    return folder


def test_bytes_as_they_stand_and_as_they_are_loaded(model, tmp_path):
    setting = Setting(tmp_path, tmp_path)
    assert weight_bytes("model", setting) == 2 * 5 * 123 + 4 * 7 + 1
    assert weight_bytes("model", setting, width=4) == 4 * (5 * 123 + 7 + 1)


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x02" + b"\0" * 7 + b"[]"])
def test_a_damaged_file_is_named(model, tmp_path, content):
    (model / "model-2.safetensors").write_bytes(content)
    with pytest.raises(SourceError, match=r"model-2\.safetensors is not a safetensors file"):
        weight_bytes("model", Setting(tmp_path, tmp_path))


def test_a_model_of_a_hub_that_is_not_here_has_no_known_size(tmp_path, monkeypatch):
    pytest.importorskip("huggingface_hub")
    assert weight_bytes("nobody/nothing-at-all", Setting(tmp_path, tmp_path)) is None


def test_available_memory():
    assert available_memory() > 1024**2
