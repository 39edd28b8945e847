"""Tables as the laboratory takes them."""

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from tests.lab.routers.synthetic import data, synthetic

from motet.lab.routers.data import data_for, read_data
from motet.lab.routers.training import train


def test_a_table_is_embedded_only_where_a_kind_reads_that(tmp_path):
    table = synthetic(30)
    columns = {"query": table.queries, "task": table.tasks}
    columns |= {f"score:{e}": table.scores[:, n] for n, e in enumerate(table.experts)}
    parquet.write_table(pa.table(columns), tmp_path / "table.parquet")
    told = []
    read = read_data(
        tmp_path / "table.parquet", {"constant": {}}, progress=lambda *it: told.append(it)
    )
    assert read.embeddings is None and read.encoder is None and len(read.table) == 30
    assert told == [("reading table.parquet", 0, 0)]
    router, _ = train(read, "constant")
    assert data_for(router, tmp_path / "table.parquet").embeddings is None


def test_rows_keep_their_embeddings():
    whole = data(30)
    part = whole.take(np.array([7, 2]))
    assert part.table.queries == (whole.table.queries[7], whole.table.queries[2])
    np.testing.assert_array_equal(part.embeddings, whole.embeddings[[7, 2]])
    assert part.encoder is whole.encoder
