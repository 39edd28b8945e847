"""Recorded tables: what is read, and how each fault of a file is named."""

import numpy as np
import pytest
from tests.composer.fitted.world import EXPERTS, columns, write

from motet.errors import TableError
from motet.tables import read_recorded


def refused(tmp_path, experts=None, needs=("answer",), **changes):
    with pytest.raises(TableError) as caught:
        read_recorded(write(tmp_path / "t.parquet", 6, 0, **changes), experts, needs=needs)
    return str(caught.value)


def test_all_columns_are_read_in_the_order_of_the_pool(tmp_path):
    path = write(tmp_path / "t.parquet", 6, 0)
    table = read_recorded(path, ("dear", "cheap"), needs=("answer", "text"))
    made = columns(6, 0)
    assert table.experts == ("dear", "cheap") and len(table) == 6
    assert [row[1] for row in table.answers] == made["answer:cheap"]
    assert [row[0] for row in table.texts] == made["text:dear"]
    assert np.array_equal(table.tokens[:, 0], made["tokens:dear"])
    part = table.take([4, 1])
    assert part.queries == (made["query"][4], made["query"][1])
    assert part.answers[0] == table.answers[4] and part.tokens[1, 0] == table.tokens[1, 0]


def test_what_is_not_needed_may_be_absent(tmp_path):
    changes = {f"text:{name}": None for name in EXPERTS} | {f"tokens:{n}": None for n in EXPERTS}
    table = read_recorded(write(tmp_path / "t.parquet", 6, 0, **changes), needs=("answer",))
    assert table.texts is None and table.tokens is None


def test_faults_name_their_place(tmp_path):
    assert "'answer:sums'" in refused(tmp_path, **{"answer:sums": None})
    assert "'text:dear'" in refused(tmp_path, needs=("text",), **{"text:dear": None})
    assert "'tokens:dear'" in refused(tmp_path, **{"tokens:dear": None})
    assert "row 2 of column 'tokens:dear' is -1" in refused(
        tmp_path, **{"tokens:dear": [1, 1, -1, 1, 1, 1]}
    )
    assert "row 0 of column 'answer:sums' is 3" in refused(tmp_path, **{"answer:sums": [3] * 6})
    assert "Did you mean 'dear'" in refused(tmp_path, experts=("deer",))
    assert "no column 'query'" in refused(tmp_path, query=None)
