"""Routing tables: what is read, and how each fault of a file is named."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv, parquet

from motet import tables
from motet.errors import TableError

ROWS = {
    "query": ["one", "two\nlines, and a comma", "drei ✓"],
    "task": ["a", "a", "b"],
    "score:big": [1.0, 0.5, 0.0],
    "cost:big": [0.02, 0.03, 0.0],
    "latency:big": [1.0, 2.0, 3.0],
    "score:small": [0.0, 1.0, 0.25],
    "cost:small": [0.001, 0.002, 0.0],
    "latency:small": [0.1, 0.2, 0.3],
    "note": ["left", "alone", "!"],
}


def write(path, columns):
    if path.suffix == ".parquet":
        parquet.write_table(pa.table(columns), path)
    elif path.suffix == ".csv":
        csv.write_csv(pa.table(columns), path)
    else:
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def read(tmp_path, suffix=".parquet", **changes):
    columns = {**ROWS, **changes}
    columns = {name: values for name, values in columns.items() if values is not None}
    return tables.read(write(tmp_path / f"table{suffix}", columns))


def refused(tmp_path, suffix=".parquet", **changes):
    with pytest.raises(TableError) as caught:
        read(tmp_path, suffix, **changes)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_every_format_says_the_same(tmp_path, suffix):
    table = read(tmp_path, suffix)
    assert table.experts == ("big", "small") and len(table) == 3
    assert table.queries == tuple(ROWS["query"]) and table.tasks == ("a", "a", "b")
    assert np.allclose(table.scores, [[1, 0], [0.5, 1], [0, 0.25]])
    assert np.allclose(table.costs[:, 1], ROWS["cost:small"])
    assert np.allclose(table.latencies[:, 0], [1, 2, 3])
    assert table.digest == read(tmp_path).digest


def test_scores_alone_are_enough(tmp_path):
    table = read(
        tmp_path,
        **{name: None for name in ROWS if not name.startswith("score:")},
    )
    assert table.queries is None and table.costs is None and table.latencies is None
    assert table.tasks == ("", "", "")


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"score:big": [1.0, float("nan"), 0.0]}, "row 1 of column 'score:big' is nan"),
        ({"score:big": [1.0, 0.0, 1.5]}, "row 2 of column 'score:big' is 1.5"),
        ({"score:big": [-0.1, 0.0, 1.0]}, "row 0 of column 'score:big' is -0.1"),
        ({"score:big": [float("inf"), 0.0, 1.0]}, "row 0 of column 'score:big' is inf"),
        ({"score:big": ["good", "bad", "good"]}, "holds no numbers"),
        ({"score:big": [1.0, None, 0.0]}, "row 1 has no 'score:big', and 1 of 3 rows"),
        ({"cost:big": [0.1, -1.0, 0.0]}, "row 1 of column 'cost:big' is -1.0"),
        ({"cost:big": [0.1, float("inf"), 0.0]}, "is infinite"),
        ({"cost:big": [0.1, None, 0.0]}, "row 1 of column 'cost:big' is None"),
        ({"cost:big": None}, "no column 'cost:big'"),
        ({"latency:small": None}, "no column 'latency:small'"),
        ({"query": ["one", None, "three"]}, "row 1 has no 'query'"),
    ],
)
def test_faults_are_named(tmp_path, changes, said):
    assert said in refused(tmp_path, **changes)


def test_missing_score_columns_show_the_near_miss(tmp_path):
    columns = {"query": ["q"], "scor:big": [1.0]}
    path = write(tmp_path / "table.parquet", columns)
    with pytest.raises(TableError, match="no 'score:<expert>' column.*Did you mean.*'scor:big'"):
        tables.read(path)


def test_near_miss_of_a_cost_column(tmp_path):
    said = refused(tmp_path, **{"cost:big": None, "cost:bigg": [0.1, 0.1, 0.1]})
    assert "Did you mean 'cost:bigg'?" in said


def test_empty_table(tmp_path):
    empty = {name: pa.array(values).slice(0, 0) for name, values in ROWS.items()}
    path = tmp_path / "empty.parquet"
    parquet.write_table(pa.table(empty), path)
    with pytest.raises(TableError, match="the table is empty"):
        tables.read(path)


def test_unknown_suffix_and_absent_file(tmp_path):
    with pytest.raises(TableError, match=r"is one of \.parquet, \.csv, \.jsonl"):
        tables.read(tmp_path / "table.xlsx")
    write(tmp_path / "table.parquet", ROWS)
    with pytest.raises(TableError, match="Did you mean 'table.parquet'"):
        tables.read(tmp_path / "tabel.parquet")


def test_damaged_files(tmp_path):
    for suffix in (".parquet", ".jsonl"):
        path = tmp_path / f"damaged{suffix}"
        path.write_bytes(b"PAR1 this is nothing")
        with pytest.raises(TableError, match="damaged"):
            tables.read(path)


def test_doubled_columns(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("score:a,score:a\n1,0\n")
    with pytest.raises(TableError, match="'score:a' stands there twice"):
        tables.read(path)


def test_a_few_lost_answers_are_left_out(tmp_path):
    scores = [1.0] * 199 + [None]
    path = write(
        tmp_path / "t.parquet",
        {"query": [f"q{n}" for n in range(200)], "score:a": scores, "score:b": [0.0] * 200},
    )
    table = tables.read(path)
    assert len(table) == 199 and table.left_out == 1 and len(table.queries) == 199


def test_experts_are_taken_by_name(tmp_path):
    table = read(tmp_path)
    turned = table.of(["small", "big"])
    assert np.array_equal(turned.scores, table.scores[:, ::-1])
    assert np.array_equal(turned.costs, table.costs[:, ::-1])
    with pytest.raises(TableError, match="no column 'score:smal'.*Did you mean 'small'"):
        table.of(["smal"])


def test_digest_is_of_the_content(tmp_path):
    table = read(tmp_path)
    for change in (
        {"score:big": [1.0, 0.5, 0.1]},
        {"task": ["a", "b", "b"]},
        {"query": ["one", "two", "drei ✓"]},
        {"cost:small": [0.001, 0.002, 0.1]},
    ):
        assert read(tmp_path, **change).digest != table.digest


def asked(queries):
    rows = len(queries)
    return tables.Table(
        name="some/table",
        experts=("a",),
        scores=np.zeros((rows, 1), np.float32),
        tasks=("",) * rows,
        queries=tuple(queries),
    )


def test_queries_learned_from_are_refused():
    train, test = asked(["What is Ray?", "two"]), asked(["three", "what  is ray?\n"])
    with pytest.raises(TableError, match=r"1 of 2 queries .* the first is row 1: 'what  is ray"):
        tables.unseen(test, tables.fingerprints(train), "train")


def test_a_chance_repetition_is_left_out():
    train = asked(["the same"])
    test = asked([*(f"q{n}" for n in range(150)), "The same"])
    rows = tables.unseen(test, tables.fingerprints(train), "train")
    assert rows.tolist() == list(range(150))
    assert tables.unseen(test, None, "scores alone").tolist() == list(range(151))


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.floats(0, 1, width=32)),
        min_size=1,
    )
)
def test_parquet_round_trip(tmp_path_factory, rows):
    queries, scores = zip(*rows, strict=True)
    path = write(tmp_path_factory.mktemp("t") / "t.parquet", {"query": queries, "score:x": scores})
    table = tables.read(path)
    assert table.queries == queries and np.array_equal(table.scores[:, 0], np.float32(scores))
    order = np.arange(len(table))[::-1]
    assert table.take(order).take(order).digest == table.digest


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_texts_are_read_as_they_stand(tmp_path, suffix):
    """Neither numbers, dates nor words of YAML: a library that guesses makes 7 of "007"."""
    texts = {"query": ["007", "1e3", "no", "null"], "task": ["01", "2024-01-02", "", "NaN"]}
    path = write(tmp_path / f"table{suffix}", {**texts, "score:a": [1, 0, 1, 1]})
    if suffix == ".csv":
        path.write_text(path.read_text().replace('"', ""))
    table = tables.read(path)
    assert table.queries == tuple(texts["query"]) and table.tasks == tuple(texts["task"])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
    ],
    ids=["mark", "windows"],
)
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_files_of_other_editors_are_read(tmp_path, suffix, change):
    plain = {"query": ["one", "two"], "task": ["a", "b"], "score:a": [1.0, 0.0]}
    path = write(tmp_path / f"table{suffix}", plain)
    path.write_bytes(change(path.read_text()))
    table = tables.read(path)
    assert table.queries == ("one", "two") and table.experts == ("a",)


@pytest.mark.parametrize(
    "content",
    [
        "query,score:a\nplain,1\ncafé,1\n",
        "query,note,score:a\none,x,1\ncafé,x,1\n",
        "quéry,score:a\nx,1\n",
    ],
)
def test_another_encoding_is_told_with_its_line(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content.encode("latin-1"))
    line = 1 if content.startswith("qué") else 3
    with pytest.raises(TableError, match=f"line {line} is no text in UTF-8 .*save it as UTF-8"):
        tables.read(tmp_path / "t.csv")
    binary = pa.table({"query": [b"caf\xe9"], "score:a": [1.0]})
    parquet.write_table(binary, tmp_path / "t.parquet")
    with pytest.raises(TableError, match="row 0 of 'query' holds bytes"):
        tables.read(tmp_path / "t.parquet")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_row_may_be_as_long_as_it_likes_and_numbers_grow_late(tmp_path, suffix):
    many = 40
    columns = {
        "query": [f"question {n}" for n in range(many)],
        "score:a": [1] * (many - 1) + [0.5],
        "cost:a": [1] * many,
    }
    columns["query"][5] = "word " * 600_000
    table = tables.read(write(tmp_path / f"long{suffix}", columns))
    assert len(table.queries[5]) == 3_000_000 and table.scores[-1, 0] == 0.5


def test_a_number_beyond_32_bits_is_refused_with_its_row(tmp_path):
    assert "row 1 of column 'cost:big' is infinite in 32 bits: 1e+39" in refused(
        tmp_path, **{"cost:big": [0.1, 1e39, 0.0]}
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("null\n", "t.jsonl:1: expected a JSON object, got None"),
        ('{"score:a": 1}\n\n[1]\n', "t.jsonl:3: expected a JSON object, got a list"),
        ('{"score:a": 1}\n{"score:a": 1', "t.jsonl:2: this line is no JSON: "),
        ("[" * 100_000, "t.jsonl:1: this line is no JSON: "),
        ('{"score:a": 1, "task": "x"}\n{"score:a": 1, "task": 2}', "row 1 of column 'task' is 2, unlike"),
        ('{"score:a": 1}\n{"score:a": {}}', "row 1 of column 'score:a' is a mapping, unlike"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_row_is_named(tmp_path, content, said):
    (tmp_path / "t.jsonl").write_text(content)
    with pytest.raises(TableError) as caught:
        tables.read(tmp_path / "t.jsonl")
    assert said in str(caught.value)
