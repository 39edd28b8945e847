"""Encoders, and the embeddings of tables."""

import dataclasses
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.routers.learned import world

from motet.encoders import encoder as encoders
from motet.encoders import openvino
from motet.encoders.encoder import DEFAULT_ENCODER, encoder
from motet.encoders.tables import embed
from motet.errors import SourceError, TableError
from motet.weights import Setting, default_cache


def test_embeddings_are_kept_by_encoder_and_table(tmp_path):
    of, one = world.table(20), world.FakeEncoder()
    first = embed(None, of, one, cache=tmp_path)
    np.testing.assert_array_equal(first, world.ENCODER.encode(of.queries))
    np.testing.assert_array_equal(embed(None, of, one, cache=tmp_path), first)
    assert len(one.calls) == 1
    embed(None, of, world.FakeEncoder("y"), cache=tmp_path)
    assert len(list((tmp_path / "embeddings").glob("*/embeddings.npy"))) == 2


def test_a_file_beside_the_table_is_used_where_it_is_true(tmp_path):
    of = world.table(20)
    path, beside = tmp_path / "t.parquet", tmp_path / "t.fake.npy"
    true = world.ENCODER.encode(of.queries)
    np.save(beside, true.astype(np.float16))
    one = world.FakeEncoder()
    found = embed(path, of, one, cache=tmp_path / "cache")
    np.testing.assert_allclose(found, true, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert len(one.calls) == 1 and len(one.calls[0]) == 8  # the sample


@pytest.mark.parametrize("wrong", ["order", "rows", "width", "nan", "pickle", "garbage"])
def test_a_file_that_is_not_is_passed_over(tmp_path, wrong):
    of = world.table(20)
    true = world.ENCODER.encode(of.queries)
    broken = {
        "order": true[::-1],
        "rows": true[:-1],
        "width": true[:, :-1],
        "nan": true * np.nan,
        "pickle": np.array([object()] * 20),
        "garbage": None,
    }[wrong]
    path = tmp_path / "t.fake.npy"
    if broken is None:
        path.write_bytes(b"garbage")
    else:
        np.save(path, broken, allow_pickle=True)
    said = []
    found = embed(
        tmp_path / "t.csv",
        of,
        world.FakeEncoder(),
        lambda *what: said.append(what[0]),
        cache=tmp_path / "c",
    )
    np.testing.assert_array_equal(found, true)
    assert "passed over" in said[0]


def test_a_table_without_queries():
    with pytest.raises(TableError, match="nothing to encode"):
        embed(None, dataclasses.replace(world.table(3), queries=None), world.ENCODER)


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


@pytest.mark.timeout(600)
def test_openvino_says_what_torch_says(tmp_path):
    setting = Setting(tmp_path, default_cache())
    texts = ["a dog barks", "the court dismissed the appeal", "", "word " * 300, "sum the list"]
    plain = encoder(DEFAULT_ENCODER, setting).encode(texts)
    compiled = encoder(DEFAULT_ENCODER, setting, backend="openvino")
    assert compiled.digest == encoder(DEFAULT_ENCODER, setting).digest and compiled.width == 384
    assert (compiled.encode(texts) * plain).sum(1).min() > 0.999
    assert not np.array_equal(compiled.encode(texts), plain)  # it is not torch that answers
    with ThreadPoolExecutor(4) as threads:
        for row, vectors in enumerate(threads.map(compiled.encode, [[text] for text in texts])):
            assert vectors[0] @ plain[row] > 0.999
    # Nothing is reported to anybody.
    assert sys.modules["openvino_telemetry"] is None


def test_what_openvino_cannot_do_is_torchs_or_refused(tmp_path, monkeypatch, caplog):
    def refuse(self, model, inputs):
        raise RuntimeError("no such operation")

    monkeypatch.setattr(openvino.CompiledTransformer, "__init__", refuse)
    setting = Setting(tmp_path, default_cache())
    assert encoder(DEFAULT_ENCODER, setting, backend="auto").encode(["x"]).shape == (1, 384)
    assert "no such operation" in caplog.text
    with pytest.raises(SourceError, match="OpenVINO cannot compile it: no such operation"):
        encoder(DEFAULT_ENCODER, setting, backend="openvino").load()
    monkeypatch.setattr(encoders, "find_spec", lambda name: None)
    with pytest.raises(SourceError, match="'openvino', which is not installed"):
        encoder(DEFAULT_ENCODER, setting, backend="openvino").load()
    assert encoder(DEFAULT_ENCODER, setting, backend="auto").encode(["x"]).shape == (1, 384)
