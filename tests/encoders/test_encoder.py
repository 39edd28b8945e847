"""Encoders: texts to vectors of length one, by whatever can compute them here."""

from pathlib import Path

import numpy as np
import pytest

from motet.encoders.encoder import DEFAULT_ENCODER, Encoder, encoder
from motet.errors import SourceError
from motet.weights import Setting, default_cache, fetch


def test_no_such_encoder(tmp_path):
    with pytest.raises(SourceError, match="unknown source 'pipy'"):
        encoder("pipy:x", Setting(tmp_path, tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SourceError, match="cannot be loaded"):
        encoder(str(tmp_path), Setting(tmp_path, tmp_path)).load()


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_the_default_encoder(tmp_path):
    found = encoder(DEFAULT_ENCODER, Setting(tmp_path, default_cache()))
    assert found.short_name == "minilm" and found.width == 384
    texts = ["a dog barks", "a puppy is barking", "the court dismissed the appeal", ""]
    vectors = found.encode(texts)
    assert vectors.shape == (4, 384) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.6 > 0.3 > vectors[0] @ vectors[2]
    # Only the first 256 tokens count, and a text's company does not.
    long = "word " * 300
    np.testing.assert_allclose(found.encode([long]), found.encode([long + "other"]), atol=1e-6)
    np.testing.assert_allclose(found.encode(texts[:1])[0], vectors[0], atol=1e-5)
    assert len(found.digest) == 64
    again = encoder(DEFAULT_ENCODER, Setting(tmp_path, default_cache()))
    assert again.digest == found.digest


def test_what_openvino_cannot_do_is_torchs_or_refused(tmp_path, caplog):
    folder = Path(fetch(DEFAULT_ENCODER, Setting(tmp_path, default_cache())))

    def refuse(folder, digest):
        raise RuntimeError("no such operation")

    def made(backend, compile):
        return Encoder(DEFAULT_ENCODER, folder, backend, lambda: compile)

    assert made("auto", refuse).encode(["x"]).shape == (1, 384)
    assert "no such operation" in caplog.text
    with pytest.raises(SourceError, match="OpenVINO cannot compile it: no such operation"):
        made("openvino", refuse).load()
    with pytest.raises(SourceError, match="'openvino', which is not installed"):
        made("openvino", None).load()
    assert made("auto", None).encode(["x"]).shape == (1, 384)
