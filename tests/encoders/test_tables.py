"""Embeddings of tables: computed once, and taken from a file only where it is true."""

import dataclasses

import numpy as np
import pytest
from tests.routers.learned import world

from motet.encoders.tables import embed
from motet.errors import TableError


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
